// The device side of both ring formats while another thread rewrites the rings
// at full speed: descriptors, indices, event areas, indirect tables, all that
// the driver can reach and at the worst of times. bad_inputs 13 to 25 as races.
//
// Guest RAM is one heap block of exactly its size, so that a sanitizer sees an
// access beyond it. The rewriting thread uses relaxed atomic accesses of the
// rings' own widths, as vCPUs do, so that ThreadSanitizer reports just what the
// device reads without an atomic access.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/thread.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRamBytes = 0x10000;
constexpr uint64_t kTables = 0x9000;
constexpr uint64_t kGuard = 0xf000;  // Nothing points here, up to the end.
constexpr uint8_t kGuardByte = 0xa5;
constexpr size_t kHeld = 6;

// A run goes on until it has seen that much, or it would test nothing.
constexpr uint64_t kLeastOperations = 40000;
constexpr uint64_t kLeastPopped = 100;
constexpr uint64_t kLeastFailures = 30;
constexpr uint64_t kMostOperations = 30000000;

struct Case {
  bool packed = false;
  bool event_idx = false;
  bool indirect = false;
  uint16_t size = 0;
};

std::string Name(const Case& c) {
  return absl::StrCat(c.packed ? "Packed" : "Split",
                      c.event_idx ? "EventIdx" : "",
                      c.indirect ? "Indirect" : "", c.size);
}

class HostileMemoryTest : public testing::TestWithParam<Case> {
 protected:
  HostileMemoryTest() {
    features_ = FeatureSet();
    if (GetParam().packed) features_.Add(kFeatureRingPacked);
    if (GetParam().event_idx) features_.Add(kFeatureEventIdx);
    if (GetParam().indirect) features_.Add(kFeatureIndirectDesc);
    region_.size = kRamBytes;
    region_.host = reinterpret_cast<uint8_t*>(ram_.get());
    whole_ = memory::GuestSpan(region_.host, kRamBytes);
    whole_.Fill(kGuard, kRamBytes - kGuard, kGuardByte);
  }

  void Rewrite();
  void Serve();
  void Inspect(const DescriptorChain& chain) const;

  uint16_t size() const { return GetParam().size; }
  QueueConfig Config() const { return RawConfig(size(), features_); }

  std::unique_ptr<uint64_t[]> ram_ =
      std::make_unique<uint64_t[]>(kRamBytes / sizeof(uint64_t));
  memory::GuestRegion region_;
  memory::GuestSpan whole_;
  FeatureSet features_;
  std::atomic<bool> stop_{false};
  std::atomic<uint32_t> device_index_{0};  // Chains that this queue popped.
};

// The driver: no word stays what it was. Mostly plausible values, for random
// ones are refused at once.
void HostileMemoryTest::Rewrite() {
  std::minstd_rand random(7);
  const auto put16 = [&](uint64_t at, uint32_t value) {
    whole_.Store<uint16_t>(at, static_cast<uint16_t>(value),
                           std::memory_order_relaxed);
  };
  while (!stop_.load(std::memory_order_relaxed)) {
    const uint32_t dice = random();
    const uint32_t value = random();
    const bool in_table = (dice & 7) == 0;
    const uint64_t descriptor = (in_table ? kTables : kRawDescriptors) +
                                16 * (random() % (in_table ? 16 : size()));
    switch ((dice >> 4) % 8) {
      case 0: {
        uint64_t addr = kRawBuffers + value % 0x800;
        if (value % 64 == 0) addr = kRamBytes - value % 8;
        if (value % 3 == 0) addr = kTables + value % 16;  // Unaligned as well.
        whole_.Store<uint64_t>(descriptor, addr, std::memory_order_relaxed);
        break;
      }
      case 1:
        whole_.Store<uint32_t>(
            descriptor + 8,
            value % 128 == 0 ? 0xffffffffu : 16 * (value / 128 % 8),
            std::memory_order_relaxed);
        break;
      case 2:
      case 3:
        if (GetParam().packed) {
          const uint32_t flags = value % 4 == 0 ? value : value & 0x8086;
          put16(descriptor + 12, value >> 3);
          put16(descriptor + 14, flags);
        } else {
          const uint32_t flags = value % 4 == 0 ? value : value & 6;
          put16(descriptor + 12, flags & 7);
          put16(descriptor + 14, (value >> 8) % (size() + 1u));
        }
        break;
      case 4:  // Indices, heads and flags; the event area of a packed ring.
        put16(kRawDriverArea + 2 * (value % (3u + size())),
              (value >> 8) % (size() + 1u));
        break;
      case 5:
        if (GetParam().packed) {
          whole_.Store<uint32_t>(kRawDriverArea, value,
                                 std::memory_order_relaxed);
        } else {  // The available index: near to where the device is.
          put16(kRawDriverArea + 2,
                device_index_.load(std::memory_order_relaxed) +
                    value % (size() + 1u));
        }
        break;
      case 6:  // What belongs to the device.
        put16(kRawDeviceArea + 2 * (value % (3u + size())), value >> 8);
        break;
      default:
        break;
    }
  }
}

// Whatever was popped is legal, now and later: it was copied.
void HostileMemoryTest::Inspect(const DescriptorChain& chain) const {
  uint64_t readable = 0;
  uint64_t writable = 0;
  for (const ChainElement& element : chain.readable()) {
    ASSERT_TRUE(region_.Contains(element.address, element.span.size()));
    ASSERT_FALSE(element.span.empty());
    (void)element.span.Load<uint8_t>(0, std::memory_order_relaxed);
    (void)element.span.Load<uint8_t>(element.span.size() - 1,
                                     std::memory_order_relaxed);
    readable += element.span.size();
  }
  for (const ChainElement& element : chain.writable()) {
    ASSERT_TRUE(region_.Contains(element.address, element.span.size()));
    ASSERT_FALSE(element.span.empty());
    // Written, unless that is the guard.
    const uint64_t last = element.address.value() + element.span.size() - 1;
    if (last < kGuard) {
      element.span.Store<uint8_t>(element.span.size() - 1, 0x5a,
                                  std::memory_order_relaxed);
    }
    writable += element.span.size();
  }
  ASSERT_EQ(readable, chain.readable_bytes());
  ASSERT_EQ(writable, chain.writable_bytes());
  ASSERT_LE(chain.readable().size() + chain.writable().size(), size());
}

void HostileMemoryTest::Serve() {
  const memory::GuestMemory memory =
      memory::GuestMemory::Create({region_}).value();
  std::minstd_rand random(8);
  uint64_t popped = 0;
  uint64_t failures = 0;
  uint64_t operations = 0;
  while (operations < kLeastOperations || popped < kLeastPopped ||
         failures < kLeastFailures) {
    ASSERT_LT(operations, kMostOperations)
        << popped << " popped, " << failures << " failures";
    // As a driver would that resets the device.
    whole_.Store<uint16_t>(kRawDeviceArea + 2, 0, std::memory_order_relaxed);
    whole_.Store<uint16_t>(kRawDriverArea + 2, 0, std::memory_order_relaxed);
    Virtqueue queue = Virtqueue::Create(memory, Config()).value();
    std::vector<DescriptorChain> chains;
    for (size_t i = 0; i < kHeld; ++i) chains.emplace_back(size());
    // A queue is used for a while after it failed, and then reset; as is one to
    // which nothing happens.
    device_index_.store(0, std::memory_order_relaxed);
    int after = 0;
    for (int life = 0; after < 20 && life < 500; ++life, ++operations) {
      if (!queue.ok()) ++after;
      if (operations % 1024 == 0) std::this_thread::yield();
      const Violation before = queue.violation();
      DescriptorChain& chain = chains[random() % kHeld];
      switch (random() % 4) {
        case 0:
        case 1:
          if (chain.pending()) {
            ASSERT_NO_FATAL_FAILURE(Inspect(chain));
            queue.Push(chain, random());
          } else if (queue.Pop(chain)) {
            ASSERT_EQ(before, Violation::kNone) << "a failed queue popped";
            ASSERT_TRUE(chain.pending());
            ASSERT_NO_FATAL_FAILURE(Inspect(chain));
            ++popped;
            device_index_.fetch_add(1, std::memory_order_relaxed);
          }
          break;
        case 2:
          (void)queue.Publish();
          break;
        case 3:
          if (random() % 2 == 0) {
            (void)queue.EnableNotifications();
          } else {
            queue.DisableNotifications();
          }
          break;
      }
      if (before != Violation::kNone) {
        ASSERT_EQ(queue.violation(), before)
            << "the first violation is latched";
      }
      size_t in_flight = 0;
      for (const DescriptorChain& c : chains) in_flight += c.pending() ? 1 : 0;
      ASSERT_LE(in_flight, size());
    }
    if (!queue.ok()) ++failures;
  }
}

TEST_P(HostileMemoryTest, RingsRewrittenAllTheTimeHarmNobody) {
  Thread driver = Thread::Start("hostile", [this] { Rewrite(); }).value();
  Serve();
  stop_.store(true, std::memory_order_relaxed);
  driver.Join();
  for (uint64_t at = kGuard; at < kRamBytes; ++at) {
    ASSERT_EQ(region_.host[at], kGuardByte) << at;
  }
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const bool packed : {true, false}) {
    for (const unsigned bits : {0, 1, 2, 3}) {
      for (const uint16_t size : {1, 4, 16, 256}) {
        cases.push_back({.packed = packed,
                         .event_idx = (bits & 1) != 0,
                         .indirect = (bits & 2) != 0,
                         .size = packed && size == 4 ? uint16_t{5} : size});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Rings, HostileMemoryTest, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& info) {
                           return Name(info.param);
                         });

}  // namespace
}  // namespace annulus::virtio
