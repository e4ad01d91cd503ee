// Frames are sent and received without an allocation.

#include <cstdint>
#include <memory>
#include <string>

#include "base/counting_allocator.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/transmit/transmit_queue.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/worker/queue_handler.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 64;

// Over both ring formats.
class NetAllocationTest : public testing::TestWithParam<bool> {
 protected:
  // Rounds of a full ring each; the driver, which allocates, is not counted.
  template <typename Offer>
  void Run(QueueHandler& handler, Offer offer) {
    handler.QueueStarted(queue_);
    int served = 0;
    for (int round = 0; round < 100; ++round) {
      while (offer()) {
      }
      const int before = AllocationCount();
      while (handler.Drain(queue_)) (void)queue_.Publish();
      (void)handler.Wait();
      (void)queue_.Publish();
      ASSERT_EQ(AllocationCount(), before);
      while (driver_.GetUsed().has_value()) ++served;
    }
    EXPECT_GE(served, 100 * (kSize / 3));
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = GetParam(), .indirect = false, .size = kSize}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  QueueCounters counters_;
};

TEST_P(NetAllocationTest, NothingIsAllocatedPerFrameSent) {
  const std::unique_ptr<NullBackend> backend = NullBackend::Create({}).value();
  TransmitQueue handler(backend->queue(0), {.frames_per_second = 1'000'000'000},
                        kSize, counters_);
  handler.SetFeatures({});
  Run(handler, [this] {
    return driver_.Chain()
        .Readable(std::string(6, '\0'))
        .Readable(std::string(6, '\0'))
        .Readable(std::string(60, 'x'))
        .Offer()
        .has_value();
  });
}

TEST_P(NetAllocationTest, NothingIsAllocatedPerFrameReceived) {
  const std::unique_ptr<NullBackend> backend =
      NullBackend::Create({.queue_pairs = 1, .generate_bytes = 900}).value();
  const FeatureSet features =
      FeatureSet::Of(kNetMrgRxbuf, kNetCtrlVq, kNetCtrlRx, kNetHashReport);
  NetSettingsStore settings;
  settings.Publish(InitialNetSettings(features, {}));
  ReceiveQueue handler(0, backend->queue(0), settings,
                       {.frames_per_second = 1'000'000'000}, kSize, counters_);
  handler.SetFeatures(features);
  Run(handler,
      [this] { return driver_.Chain().Writable(400).Offer().has_value(); });
}

INSTANTIATE_TEST_SUITE_P(BothFormats, NetAllocationTest, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "packed" : "split";
                         });

}  // namespace
}  // namespace annulus::virtio
