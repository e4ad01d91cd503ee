// A device that is killed after each of its stores, for every one of them, and
// recovered; and a recovery that is killed after each of its stores and done
// once more. Both sides of the ring, the notes and the recovery are the real
// ones, compiled with the hooks of memory/shared_access.h.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/inflight/recover_queue.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "memory/guest_span.h"
#include "memory/shared_access.h"

namespace annulus::virtio {
namespace {

std::function<void()>* after_store = nullptr;

}  // namespace
}  // namespace annulus::virtio

namespace annulus::memory {

unsigned long long HookedLoad(const void* at, unsigned bytes, int /*order*/) {
  uint64_t value = 0;
  std::memcpy(&value, at, bytes);
  return value;
}

void HookedStore(void* at, unsigned long long value, unsigned bytes,
                 int /*order*/) {
  std::memcpy(at, &value, bytes);
  if (virtio::after_store != nullptr) (*virtio::after_store)();
}

void HookedFence() {}

}  // namespace annulus::memory

namespace annulus::virtio {
namespace {

constexpr uint16_t kMaxSize = 8;
constexpr uint32_t kTableEntries = 4;
constexpr size_t kRamBytes = 0x8000;
constexpr uint64_t kDescriptors = 0;
constexpr uint64_t kDriverArea = 0x100;
constexpr uint64_t kDeviceArea = 0x200;
constexpr uint64_t kTables = 0x300;
constexpr size_t kSharedBytes = 0x800;  // Buffers follow, which nobody writes.
constexpr uint64_t kBuffers = 0x1000;
constexpr uint32_t kBufferUnit = 16;

struct Case {
  bool packed;
  uint16_t size;
  bool in_order;
  bool event_idx;
  bool indirect;
};

std::string Name(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return absl::StrCat(c.packed ? "Packed" : "Split", c.size,
                      c.in_order ? "InOrder" : "", c.event_idx ? "Event" : "",
                      c.indirect ? "Indirect" : "");
}

// A buffer as the driver offered it.
struct Buffer {
  std::vector<DriverElement> readable;
  std::vector<DriverElement> writable;

  uint32_t writable_bytes() const {
    uint32_t sum = 0;
    for (const DriverElement& element : writable) sum += element.len;
    return sum;
  }
};

using Driver = std::variant<std::monostate, PackedDriver, SplitDriver>;

class KillTest : public testing::TestWithParam<Case> {
 protected:
  // All that is left when the device dies.
  struct Remains {
    std::array<uint8_t, kSharedBytes> shared;
    std::array<uint8_t, 0x200> region;
    std::array<DriverSlot, kMaxSize> slots;
    Driver driver;
    std::map<uint16_t, Buffer> in_flight;  // With the driver's ids.
  };
  // A device's life.
  struct Device {
    explicit Device(Virtqueue q, uint16_t size)
        : queue(std::move(q)), batch(size, size) {}
    Virtqueue queue;
    std::unique_ptr<InflightNotes> notes = std::make_unique<InflightNotes>();
    ChainBatch batch;
    uint32_t pushed = 0;  // Of the batch.
  };

  KillTest() {
    const Case& c = GetParam();
    config_.size = c.size;
    config_.descriptor = memory::GuestAddress(kDescriptors);
    config_.driver = memory::GuestAddress(kDriverArea);
    config_.device = memory::GuestAddress(kDeviceArea);
    config_.features.Add(kFeatureVersion1);
    if (c.packed) config_.features.Add(kFeatureRingPacked);
    if (c.in_order) config_.features.Add(kFeatureInOrder);
    if (c.event_idx) config_.features.Add(kFeatureEventIdx);
    if (c.indirect) config_.features.Add(kFeatureIndirectDesc);
    if (c.packed) {
      driver_.emplace<PackedDriver>(PackedDriverConfig{
          .ring = At<PackedDescriptor>(kDescriptors),
          .driver_event = At<PackedEventSuppression>(kDriverArea),
          .device_event = At<PackedEventSuppression>(kDeviceArea),
          .size = c.size,
          .event_idx = c.event_idx,
          .in_order = c.in_order,
          .slots = slots_.data(),
          .indirect_tables =
              c.indirect ? At<PackedDescriptor>(kTables) : nullptr,
          .indirect_tables_addr = kTables,
          .indirect_entries = kTableEntries});
    } else {
      driver_.emplace<SplitDriver>(SplitDriverConfig{
          .descriptors = At<SplitDescriptor>(kDescriptors),
          .available = At<SplitAvailableHeader>(kDriverArea),
          .used = At<SplitUsedHeader>(kDeviceArea),
          .size = c.size,
          .event_idx = c.event_idx,
          .in_order = c.in_order,
          .slots = slots_.data(),
          .indirect_tables =
              c.indirect ? At<SplitDescriptor>(kTables) : nullptr,
          .indirect_tables_addr = kTables,
          .indirect_entries = kTableEntries});
    }
  }

  template <typename T>
  T* At(uint64_t offset) {
    return reinterpret_cast<T*>(ram_.data() + offset);
  }
  memory::GuestSpan Region() {
    return memory::GuestSpan(region_.data(), region_.size());
  }
  template <typename Function>
  auto WithDriver(Function function) {
    if (auto* packed = std::get_if<PackedDriver>(&driver_)) {
      return function(*packed);
    }
    return function(*std::get_if<SplitDriver>(&driver_));
  }

  Remains Copy() const {
    Remains remains;
    std::memcpy(remains.shared.data(), ram_.data(), kSharedBytes);
    remains.region = region_;
    remains.slots = slots_;
    remains.driver = driver_;
    remains.in_flight = in_flight_;
    return remains;
  }
  void Restore(const Remains& remains) {
    std::memcpy(ram_.data(), remains.shared.data(), kSharedBytes);
    region_ = remains.region;
    slots_ = remains.slots;
    driver_ = remains.driver;
    in_flight_ = remains.in_flight;
  }

  // What `function` would leave after each of its stores.
  template <typename Function>
  std::vector<Remains> Record(Function function) {
    std::vector<Remains> all;
    std::function<void()> record = [&] { all.push_back(Copy()); };
    after_store = &record;
    function();
    after_store = nullptr;
    return all;
  }

  // The driver's side.

  bool Offer() {
    Buffer buffer;
    const bool many = random_() % 2 == 0;
    const uint32_t readable = many ? random_() % 3 : random_() % 2;
    const uint32_t writable = many ? random_() % 3 : 1 - readable;
    for (uint32_t i = 0; i < readable + writable; ++i) {
      serial_ = (serial_ + 1) % 1024;
      (i < readable ? buffer.readable : buffer.writable)
          .push_back({.addr = kBuffers + uint64_t{serial_} * kBufferUnit,
                      .len = 1 + static_cast<uint32_t>(random_() % 16)});
    }
    const uint16_t id = WithDriver([&](auto& driver) {
      return driver.Add(buffer.readable.data(), readable,
                        buffer.writable.data(), writable);
    });
    if (id == kNoDriverBuffer) return false;
    EXPECT_TRUE(in_flight_.emplace(id, buffer).second);
    return true;
  }
  void TakeUsed() {
    uint16_t id = 0;
    uint32_t len = 0;
    while (
        WithDriver([&](auto& driver) { return driver.GetUsed(&id, &len); })) {
      const auto buffer = in_flight_.find(id);
      ASSERT_TRUE(buffer != in_flight_.end());
      EXPECT_EQ(len, buffer->second.writable_bytes());
      in_flight_.erase(buffer);
    }
    ASSERT_FALSE(WithDriver([](auto& driver) { return driver.broken(); }));
  }

  // The device's side.

  // From `state` on, or from the beginning.
  std::unique_ptr<Device> Start(const std::optional<QueueState>& state) {
    absl::StatusOr<Virtqueue> queue =
        state.has_value() ? Virtqueue::Create(memory_, config_, *state)
                          : Virtqueue::Create(memory_, config_);
    EXPECT_TRUE(queue.ok()) << queue.status();
    if (!queue.ok()) return nullptr;
    auto device = std::make_unique<Device>(*queue, GetParam().size);
    EXPECT_TRUE(device->queue.NoteInflight(Region(), *device->notes).ok());
    return device;
  }
  // As one that finds a dead one's remains. `new_queue`: it may have died
  // before it had begun.
  std::unique_ptr<Device> Recover(bool new_queue) {
    const absl::StatusOr<std::optional<QueueState>> state =
        RecoverQueue(memory_, config_, Region());
    EXPECT_TRUE(state.ok()) << state.status();
    if (!state.ok()) return nullptr;
    EXPECT_TRUE(new_queue || state->has_value());
    if (!new_queue && !state->has_value()) return nullptr;
    return Start(*state);
  }
  // As all devices here, it gives back what it takes in order.
  void CheckChain(const DescriptorChain& chain) {
    const auto buffer = in_flight_.find(chain.id());
    ASSERT_TRUE(buffer != in_flight_.end());
    std::vector<std::pair<uint64_t, uint64_t>> is;
    std::vector<std::pair<uint64_t, uint64_t>> wanted;
    for (const ChainElement& e : chain.readable()) {
      is.emplace_back(e.address.value(), e.span.size());
    }
    for (const ChainElement& e : chain.writable()) {
      is.emplace_back(e.address.value(), e.span.size());
    }
    for (const DriverElement& e : buffer->second.readable) {
      wanted.emplace_back(e.addr, e.len);
    }
    for (const DriverElement& e : buffer->second.writable) {
      wanted.emplace_back(e.addr, e.len);
    }
    ASSERT_EQ(is, wanted);
  }
  void Push(Device& device, uint32_t count) {
    for (; count != 0; --count) {
      DescriptorChain& chain = device.batch.chains()[device.pushed++];
      device.queue.Push(chain, chain.writable_bytes());
    }
  }
  // All that is available, and on with more of it.
  void ServeAll(Device& device) {
    for (int lap = 0; lap < 3; ++lap) {
      while (device.queue.Take(device.batch) != 0) {
        for (DescriptorChain& chain : device.batch.chains()) {
          CheckChain(chain);
          if (HasFatalFailure()) return;
          device.queue.Push(chain, chain.writable_bytes());
        }
        (void)device.queue.Publish();
      }
      ASSERT_TRUE(device.queue.ok()) << device.queue.status();
      TakeUsed();
      ASSERT_TRUE(in_flight_.empty()) << in_flight_.size() << " were lost";
      while (Offer()) {
      }
    }
  }

  // After the death of which `remains` are left.
  void CheckRecovery(const Remains& remains, bool new_queue, bool again) {
    Restore(remains);
    if (random_() % 2 == 0) {
      // The driver goes on, device or no device.
      TakeUsed();
      for (uint64_t i = random_() % 4; i != 0; --i) Offer();
    }
    const Remains found = Copy();
    std::unique_ptr<Device> device;
    std::vector<Remains> deaths = Record([&] { device = Recover(new_queue); });
    ASSERT_TRUE(device != nullptr);
    ServeAll(*device);
    if (!again) return;
    for (const Remains& death : deaths) {
      if (HasFailure()) return;
      CheckRecovery(death, new_queue, /*again=*/false);
    }
  }
  void CheckRecoveries(const std::vector<Remains>& deaths, bool new_queue) {
    const Remains now = Copy();
    for (const Remains& death : deaths) {
      CheckRecovery(death, new_queue, /*again=*/true);
      if (HasFailure()) return;
    }
    deaths_ += deaths.size();
    Restore(now);
  }

  // One random thing that a device does.
  void Step(std::unique_ptr<Device>& device) {
    const uint32_t waiting =
        static_cast<uint32_t>(device->batch.chains().size()) - device->pushed;
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        if (waiting == 0) {
          if (device->pushed != 0) {
            device->queue.Expose();
            device->batch.Release(device->pushed);
            device->pushed = 0;
          }
          (void)device->queue.TakeMore(device->batch);
        } else {
          (void)device->queue.TakeMore(device->batch);
        }
        break;
      case 3:
      case 4:
        Push(*device, waiting == 0 ? 0 : 1 + random_() % waiting);
        break;
      case 5:
      case 6:
        (void)device->queue.Publish();
        device->batch.Release(device->pushed);
        device->pushed = 0;
        break;
      default: {
        if (random_() % 4 != 0) break;
        // Stopped, as for a change of the memory's table, and started again.
        device->queue.Expose();
        const QueueState state = device->queue.SaveRewound();
        device->batch.Abandon();
        device = Start(state);
        break;
      }
    }
  }

  alignas(64) std::array<uint8_t, kRamBytes> ram_ = {};
  alignas(64) std::array<uint8_t, 0x200> region_ = {};
  const memory::GuestMemory memory_ =
      memory::GuestMemory::Create({{.start = memory::GuestAddress(0),
                                    .size = kRamBytes,
                                    .host = ram_.data()}})
          .value();
  std::array<DriverSlot, kMaxSize> slots_ = {};
  QueueConfig config_;
  Driver driver_;
  std::map<uint16_t, Buffer> in_flight_;
  std::mt19937_64 random_{1};
  uint32_t serial_ = 0;
  size_t deaths_ = 0;
};

TEST_P(KillTest, EachBufferIsUsedOnce) {
  std::unique_ptr<Device> device;
  std::vector<Remains> deaths = Record([&] { device = Start(std::nullopt); });
  ASSERT_TRUE(device != nullptr);
  CheckRecoveries(deaths, /*new_queue=*/true);
  for (int step = 0; step < 150 && !HasFailure(); ++step) {
    if (random_() % 3 == 0) TakeUsed();
    for (uint64_t i = random_() % 4; i != 0; --i) Offer();
    deaths = Record([&] { Step(device); });
    CheckRecoveries(deaths, /*new_queue=*/false);
  }
  EXPECT_GT(deaths_, 100u);
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const bool packed : {false, true}) {
    const std::vector<uint16_t> sizes = packed
                                            ? std::vector<uint16_t>{1, 3, 5, 8}
                                            : std::vector<uint16_t>{1, 2, 4, 8};
    for (const uint16_t size : sizes) {
      for (const bool in_order : {false, true}) {
        for (const bool event_idx : {false, true}) {
          for (const bool indirect : {false, true}) {
            cases.push_back({packed, size, in_order, event_idx, indirect});
          }
        }
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, KillTest, testing::ValuesIn(AllCases()), Name);

}  // namespace
}  // namespace annulus::virtio
