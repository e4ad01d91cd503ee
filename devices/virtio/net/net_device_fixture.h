#ifndef DEVICES_VIRTIO_NET_NET_DEVICE_FIXTURE_H_
#define DEVICES_VIRTIO_NET_NET_DEVICE_FIXTURE_H_

#include <poll.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {

inline constexpr MacAddress kMac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

class CountingInterrupt final : public Interrupt {
 public:
  void Trigger() override { event.Signal(); }
  EventFd event = EventFd::Create().value();
};

class CountingHost final : public DeviceHost {
 public:
  void ConfigChanged() override { ++changes; }
  void NeedsReset() override { ++resets; }
  std::atomic<int> changes{0};
  std::atomic<int> resets{0};
};

class NoLog final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view) override {}
};

// One queue as the driver has it.
struct NetQueueSide {
  NetQueueSide(const memory::GuestMemory& memory, uint16_t index,
               const FeatureSet& features)
      : driver(memory, {.packed = features.Has(kFeatureRingPacked),
                        .event_idx = features.Has(kFeatureEventIdx),
                        .indirect = features.Has(kFeatureIndirectDesc),
                        .in_order = features.Has(kFeatureInOrder),
                        .size = 64,
                        .base = memory::GuestAddress(0x100000 * (1 + index)),
                        .bytes = 0x100000}) {}

  void Notify() {
    if (driver.NeedsNotification()) notification.Signal();
  }

  FakeDriver::Used AwaitUsed() {
    while (true) {
      if (std::optional<FakeDriver::Used> used = driver.GetUsed()) return *used;
      if (!driver.EnableCallbacks()) {
        pollfd fd = {interrupt.event.fd(), POLLIN, 0};
        (void)::poll(&fd, 1, -1);
        (void)interrupt.event.Drain();
      }
      driver.DisableCallbacks();
    }
  }

  FakeDriver driver;
  CountingInterrupt interrupt;
  EventFd notification = EventFd::Create().value();
};

// For tests: a card with its workers, and the driver's side of its queues.
class NetDeviceTestBase {
 protected:
  void Make(uint16_t pairs, std::unique_ptr<NetBackend> backend = nullptr) {
    if (backend == nullptr) backend = LoopbackBackend::Create(pairs).value();
    NetOptions options;
    options.features = AllNetFeatures();
    options.mac = kMac;
    options.queue_pairs = pairs;
    options.queue_size = 64;
    options.header_split = header_split_;
    options.front_end_controls = front_end_controls_;
    device_ = NetDevice::Create(options, std::move(backend), log_).value();
  }

  void Start(const FeatureSet& features, uint16_t queues) {
    features_ = features;
    ASSERT_TRUE(features.IsSubsetOf(device_->offered_features()));
    ASSERT_TRUE(device_->AcceptFeatures(features));
    device_->Start(features);
    for (uint16_t i = 0; i < queues; ++i) StartQueue(i);
  }

  void StartQueue(uint16_t i) {
    if (sides_.size() <= i) sides_.resize(i + 1);
    sides_[i] = std::make_unique<NetQueueSide>(memory_, i, features_);
    QueueConfig config = sides_[i]->driver.config();
    config.features = features_;
    device_->StartQueue(i, {.config = config,
                            .memory = &memory_,
                            .notification = &sides_[i]->notification,
                            .interrupt = &sides_[i]->interrupt,
                            .host = &host_});
  }

  // Sends a command on queue `index`; returns ack.
  int Command(uint16_t index, const std::string& bytes) {
    NetQueueSide& side = *sides_[index];
    EXPECT_TRUE(
        side.driver.Chain().Readable(bytes).Writable(1).Offer().has_value());
    side.Notify();
    const FakeDriver::Used used = side.AwaitUsed();
    return used.len == 1 ? used.data[0] : -1;
  }

  template <typename Number>
  Number Config(uint32_t offset) {
    std::array<uint8_t, sizeof(Number)> bytes;
    device_->ReadConfig(offset, absl::MakeSpan(bytes));
    Number number = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      number = static_cast<Number>(number | Number{bytes[i]} << 8 * i);
    }
    return number;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 16 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  NoLog log_;
  CountingHost host_;
  HeaderSplitOptions header_split_;  // Of the next Make(), as the next.
  bool front_end_controls_ = false;
  FeatureSet features_;
  std::vector<std::unique_ptr<NetQueueSide>> sides_;
  std::unique_ptr<NetDevice> device_;  // First to go: it uses the rest.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_DEVICE_FIXTURE_H_
