// VIRTIO_F_RING_RESET, virtio 1.4 §2.6.1 "Virtqueue Reset", over each transport
// and a device that remembers what it was asked for.
// ring_reset_traffic_test.cc has a device that works.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/event_fd.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/transport_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint8_t kFeatures =
    kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk;
constexpr uint8_t kLive = kFeatures | kStatusDriverOk;

struct Transport {
  const char* name;
  std::unique_ptr<TestDriver> (*make)(VirtioDevice& device,
                                      const TransportOptions& options);
};

class RingResetTest : public ::testing::TestWithParam<Transport> {
 protected:
  RingResetTest() { Make({}); }

  void Make(FakeDevice::Options options) {
    driver_.reset();
    device_ = std::make_unique<FakeDevice>(std::move(options));
    driver_ = GetParam().make(*device_, {});
  }
  FakeDevice& device() { return *device_; }
  TestDriver& driver() { return *driver_; }

  void Negotiate() {
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingReset));
  }
  // Both queues run; queue 0 is selected; calls are taken.
  void Start() {
    Negotiate();
    driver().SetUpQueue(1, 16);
    driver().SetUpQueue(0, 16);
    driver().DriverOk();
    device().TakeCalls();
  }
  void TriggerQueue1() { device().queue(1)->interrupt->Trigger(); }

 private:
  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<TestDriver> driver_;
};

INSTANTIATE_TEST_SUITE_P(
    All, RingResetTest,
    ::testing::Values(Transport{"Mmio", &MakeMmioTestDriver},
                      Transport{"Pci", &MakePciTestDriver}),
    [](const auto& info) { return std::string(info.param.name); });

// "The device MUST present 0 in both queue_reset and queue_enable when queue
// reset has completed."
TEST_P(RingResetTest, StopsThatQueueAndReadsAsCompleted) {
  Start();
  EXPECT_EQ(driver().QueueReset(), 0u);
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StopQueue 0"));
  EXPECT_EQ(driver().QueueReset(), 0u);
  EXPECT_EQ(driver().QueueEnable(), 0u);
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(RingResetTest, OtherQueuesKeepRunning) {
  Start();
  driver().WriteQueueReset(1);
  driver().SelectQueue(1);
  EXPECT_EQ(driver().QueueEnable(), 1u);
  ASSERT_TRUE(device().queue(1).has_value());
  driver().Notify(1);
  EXPECT_TRUE(device().queue(1)->notification->Drain());
  TriggerQueue1();
  EXPECT_EQ(driver().TakeUsedBufferInterrupts(), 1);
}

TEST_P(RingResetTest, RegistersReturnToTheirDefaults) {
  Start();
  driver().WriteQueueReset(1);
  EXPECT_EQ(driver().QueueSize(), 256u);
  // Enabled without being set up, it shows what the registers hold.
  driver().WriteQueueEnable(1);
  const auto queue = device().queue(0);
  ASSERT_TRUE(queue.has_value());
  EXPECT_EQ(queue->config.size, 256);
  EXPECT_EQ(queue->config.descriptor.value(), 0u);
  EXPECT_EQ(queue->config.driver.value(), 0u);
  EXPECT_EQ(queue->config.device.value(), 0u);
}

// §2.6.1.2: "The device MUST observe any queue configuration that may have been
// changed by the driver".
TEST_P(RingResetTest, ReenabledQueueRunsWithOtherSizeAndAddresses) {
  Start();
  driver().WriteQueueReset(1);
  device().TakeCalls();
  driver().WriteQueueSize(64);
  driver().WriteQueueArea(QueueArea::kDescriptor, 0x8000);
  driver().WriteQueueArea(QueueArea::kDriver, 0x9000);
  driver().WriteQueueArea(QueueArea::kDevice, 0x123456789000);
  driver().WriteQueueEnable(1);
  EXPECT_EQ(driver().QueueEnable(), 1u);
  // "The device MUST present a 0 in queue_reset after the virtqueue is enabled"
  EXPECT_EQ(driver().QueueReset(), 0u);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StartQueue 0"));
  const auto queue = device().queue(0);
  EXPECT_EQ(queue->config.size, 64);
  EXPECT_EQ(queue->config.descriptor.value(), 0x8000u);
  EXPECT_EQ(queue->config.driver.value(), 0x9000u);
  EXPECT_EQ(queue->config.device.value(), 0x123456789000u);
  driver().Notify(0);
  EXPECT_TRUE(queue->notification->Drain());
  queue->interrupt->Trigger();
  EXPECT_EQ(driver().TakeUsedBufferInterrupts(), 1);
}

TEST_P(RingResetTest, NotificationsOfThePastAreForgotten) {
  Start();
  const EventFd& notification = *device().queue(0)->notification;
  driver().Notify(0);
  driver().WriteQueueReset(1);
  EXPECT_FALSE(notification.Drain());
  // And those of a queue that is not there are ignored.
  driver().Notify(0);
  EXPECT_FALSE(notification.Drain());
}

// MMIO has QueueReady for that, which keeps the registers; PCI has nothing.
TEST_P(RingResetTest, IsNotTheSameAsDisabling) {
  Start();
  driver().WriteQueueEnable(0);
  driver().WriteQueueEnable(1);
  EXPECT_EQ(device().queue(0)->config.size, 16);
  driver().WriteQueueEnable(0);
  driver().WriteQueueReset(1);
  EXPECT_EQ(driver().QueueSize(), 256u);
  driver().WriteQueueEnable(1);
  EXPECT_EQ(device().queue(0)->config.size, 256);
}

TEST_P(RingResetTest, QueueThatIsNotEnabledLosesItsRegistersOnly) {
  Negotiate();
  driver().SetUpQueue(1, 16);
  driver().SelectQueue(0);
  driver().WriteQueueSize(8);
  driver().DriverOk();
  device().TakeCalls();
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
  driver().WriteQueueEnable(1);
  EXPECT_EQ(device().queue(0)->config.size, 256);
}

TEST_P(RingResetTest, BeforeDriverOkTheQueueDoesNotStart) {
  Negotiate();
  driver().SetUpQueue(0, 16);
  device().TakeCalls();
  driver().WriteQueueReset(1);
  EXPECT_EQ(driver().QueueEnable(), 0u);
  driver().DriverOk();
  EXPECT_THAT(device().TakeCalls(), ElementsAre("Start"));
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(RingResetTest, IsIgnoredWithoutTheFeature) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SetUpQueue(0, 16);
  for (const bool live : {false, true}) {
    if (live) driver().DriverOk();
    device().TakeCalls();
    driver().WriteQueueReset(1);
    EXPECT_EQ(driver().QueueReset(), 0u);
    EXPECT_EQ(driver().QueueEnable(), 1u);
    EXPECT_THAT(device().TakeCalls(), IsEmpty());
  }
  EXPECT_EQ(device().queue(0)->config.size, 16);
}

// What the driver has written of features is not agreed on yet.
TEST_P(RingResetTest, IsIgnoredBeforeFeaturesOk) {
  driver().ResetAndAcknowledge();
  driver().WriteDriverFeatures(1, 1u | 1u << (kFeatureRingReset - 32));
  device().TakeCalls();
  driver().SelectQueue(0);
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
}

TEST_P(RingResetTest, TakesNoValueButOne) {
  Start();
  for (const uint16_t value : {0, 2, 3, 255, 256, 65535}) {
    driver().WriteQueueReset(value);
    EXPECT_EQ(driver().QueueEnable(), 1u) << value;
    EXPECT_EQ(driver().QueueReset(), 0u) << value;
  }
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
}

// Bad input A.3.
TEST_P(RingResetTest, QueueThatDoesNotExistIsIgnored) {
  Start();
  for (const int queue : {2, 3, 255, 256, 32768, 65535}) {
    driver().SelectQueue(static_cast<uint16_t>(queue));
    driver().WriteQueueReset(1);
    EXPECT_EQ(driver().QueueReset(), 0u) << queue;
  }
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_TRUE(device().queue(0).has_value());
  EXPECT_TRUE(device().queue(1).has_value());
}

TEST_P(RingResetTest, LoopOfResetsStopsTheQueueOnce) {
  Start();
  for (int i = 0; i < 1000; ++i) driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StopQueue 0"));
  for (int i = 0; i < 100; ++i) {
    driver().SetUpQueue(0, 16);
    driver().WriteQueueReset(1);
  }
  EXPECT_EQ(device().TakeCalls().size(), 200u);
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(RingResetTest, BadSizeAfterResetNeedsDeviceReset) {
  Start();
  driver().WriteQueueReset(1);
  driver().WriteQueueSize(3);
  driver().WriteQueueEnable(1);
  EXPECT_EQ(driver().Status(), kLive | kStatusDeviceNeedsReset);
  EXPECT_EQ(driver().QueueEnable(), 0u);
}

// "[the driver cannot] assume that all requests in flight will be completed if
// DEVICE_NEEDS_RESET is set" (§2.1.1): but it may have its memory back.
TEST_P(RingResetTest, BrokenDeviceLetsGoOfTheQueueButStaysBroken) {
  Start();
  device().Break();
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 1);
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StopQueue 0"));
  EXPECT_EQ(driver().QueueEnable(), 0u);
  EXPECT_EQ(driver().Status(), kLive | kStatusDeviceNeedsReset);
  EXPECT_TRUE(device().queue(1).has_value());
  driver().SetUpQueue(0, 16);
  EXPECT_EQ(driver().QueueEnable(), 0u);
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
  Start();
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(RingResetTest, FailedDriverMayTakeItsQueueBackButNotEnableIt) {
  Start();
  driver().WriteStatus(kLive | kStatusFailed);
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StopQueue 0"));
  driver().SetUpQueue(0, 16);
  EXPECT_EQ(driver().QueueEnable(), 0u);
}

TEST_P(RingResetTest, DeviceResetAfterRingResetForgetsTheFeature) {
  Start();
  driver().WriteQueueReset(1);
  driver().Initialize();
  device().TakeCalls();
  driver().WriteQueueReset(1);
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
}

// "The device MUST continue to present 1 in queue_reset as long as the queue
// reset is ongoing": another vCPU never reads 0 meanwhile.
TEST_P(RingResetTest, ReadOfTheRegisterWaitsForTheReset) {
  std::atomic<bool> stopping{false};
  std::atomic<bool> reading{false};
  std::atomic<bool> stopped{false};
  FakeDevice::Options options;
  options.on_stop_queue = [&] {
    stopping = true;
    while (!reading) std::this_thread::yield();
    // Time for a read that does not wait to return.
    for (int i = 0; i < 10000; ++i) std::this_thread::yield();
    stopped = true;
  };
  Make(options);
  Start();
  std::thread other([&] {
    while (!stopping) std::this_thread::yield();
    reading = true;
    EXPECT_EQ(driver().QueueReset(), 0u);
    EXPECT_TRUE(stopped);
  });
  driver().WriteQueueReset(1);
  other.join();
}

// Run under ThreadSanitizer, which judges.
TEST_P(RingResetTest, VcpusMayResetTheSameQueueAtOnce) {
  Start();
  const auto vcpu = [this] {
    for (int i = 0; i < 500; ++i) {
      driver().SelectQueue(0);
      driver().WriteQueueSize(16);
      driver().WriteQueueEnable(1);
      driver().Notify(0);
      driver().WriteQueueReset(1);
      driver().QueueReset();
      if (i % 50 == 0) Start();
    }
  };
  std::thread first(vcpu);
  std::thread second(vcpu);
  std::thread worker([this] {
    for (int i = 0; i < 2000; ++i) {
      const auto queue = device().queue(0);
      if (queue.has_value()) queue->interrupt->Trigger();
    }
  });
  first.join();
  second.join();
  worker.join();
  Start();
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_TRUE(device().queue(0).has_value());
}

}  // namespace
}  // namespace annulus::virtio
