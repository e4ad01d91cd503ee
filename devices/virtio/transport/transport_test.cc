// What every transport does alike: each test runs over each of them.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/device_observer.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/transport_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint8_t kAck = kStatusAcknowledge;
constexpr uint8_t kDriver = kStatusAcknowledge | kStatusDriver;
constexpr uint8_t kFeatures = kDriver | kStatusFeaturesOk;
constexpr uint8_t kLive = kFeatures | kStatusDriverOk;
constexpr uint8_t kNeedsReset = kStatusDeviceNeedsReset;

struct Transport {
  const char* name;
  std::unique_ptr<TestDriver> (*make)(VirtioDevice& device,
                                      const TransportOptions& options);
};

class TransportTest : public ::testing::TestWithParam<Transport> {
 protected:
  explicit TransportTest(FakeDevice::Options options = {}) {
    Make(std::move(options));
  }
  void Make(FakeDevice::Options options,
            const TransportOptions& transport = {}) {
    driver_.reset();
    device_ = std::make_unique<FakeDevice>(std::move(options));
    driver_ = GetParam().make(*device_, transport);
  }
  FakeDevice& device() { return *device_; }
  TestDriver& driver() { return *driver_; }

 private:
  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<TestDriver> driver_;
};

INSTANTIATE_TEST_SUITE_P(
    All, TransportTest,
    ::testing::Values(Transport{"Mmio", &MakeMmioTestDriver},
                      Transport{"Pci", &MakePciTestDriver}),
    [](const auto& info) { return std::string(info.param.name); });

// ---- Device status, virtio 1.4 §2.1 and §3.1.1 ----

TEST_P(TransportTest, InitializationStartsDeviceThenEnabledQueues) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
  EXPECT_EQ(driver().Status(), kFeatures);
  driver().SetUpQueue(1, 64);
  driver().SetUpQueue(0, 16);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("Reset"));
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_THAT(device().TakeCalls(),
              ElementsAre("Start", "StartQueue 0", "StartQueue 1"));
  EXPECT_EQ(device().started_features(),
            FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
}

TEST_P(TransportTest, QueueRunsOnWhatWasLatched) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SelectQueue(0);
  driver().WriteQueueSize(32);
  driver().WriteQueueArea(QueueArea::kDescriptor, 0x1122334455667780);
  driver().WriteQueueArea(QueueArea::kDriver, 0xffffffffffffffff);
  driver().WriteQueueArea(QueueArea::kDevice, 0x80000000);
  driver().WriteQueueEnable(1);
  driver().DriverOk();
  const auto queue = device().queue(0);
  ASSERT_TRUE(queue.has_value());
  EXPECT_EQ(queue->config.size, 32);
  EXPECT_EQ(queue->config.descriptor.value(), 0x1122334455667780);
  EXPECT_EQ(queue->config.driver.value(), 0xffffffffffffffff);
  EXPECT_EQ(queue->config.device.value(), 0x80000000);
  EXPECT_EQ(queue->config.features, FeatureSet::Of(kFeatureVersion1));
  EXPECT_FALSE(device().queue(1).has_value());
}

TEST_P(TransportTest, OneWriteMayAddSeveralBitsInOrder) {
  driver().WriteStatus(0);
  driver().WriteDriverFeatures(1, 1);  // VERSION_1
  driver().WriteStatus(kLive);
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(TransportTest, DriverOkWithoutFeaturesOkIsRefused) {
  driver().ResetAndAcknowledge();
  driver().WriteStatus(kDriver | kStatusDriverOk);
  EXPECT_EQ(driver().Status(), kDriver);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("Reset"));
}

TEST_P(TransportTest, BitsWithoutPredecessorAreRefused) {
  driver().WriteDriverFeatures(1, 1);
  for (const int bits : {kStatusDriver + 0, kStatusFeaturesOk + 0,
                         kStatusDriverOk + 0, kStatusFeaturesOk | kAck}) {
    driver().WriteStatus(0);
    driver().WriteDriverFeatures(1, 1);
    driver().WriteStatus(static_cast<uint8_t>(bits));
    EXPECT_EQ(driver().Status(), bits & kAck) << bits;
  }
}

TEST_P(TransportTest, StatusNeverMovesBackwards) {
  driver().Initialize();
  device().TakeCalls();
  for (int value = 1; value < 256; ++value) {
    if ((value & kLive) == kLive) continue;
    if ((value & kStatusFailed) != 0) continue;
    driver().WriteStatus(static_cast<uint8_t>(value));
    EXPECT_EQ(driver().Status(), kLive) << value;
  }
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
}

TEST_P(TransportTest, WriteThatClearsOneBitSetsNoOther) {
  driver().WriteStatus(0);
  driver().WriteDriverFeatures(1, 1);
  driver().WriteStatus(kAck);
  driver().WriteStatus(kStatusDriver);
  EXPECT_EQ(driver().Status(), kAck);
  driver().WriteStatus(kDriver);
  driver().WriteStatus(kFeatures & ~kAck);
  EXPECT_EQ(driver().Status(), kDriver);
  driver().WriteStatus(kStatusFailed);
  EXPECT_EQ(driver().Status(), kDriver);
}

TEST_P(TransportTest, DriverNeedNotKnowNeedsReset) {
  driver().Initialize();
  device().Break();
  // Read before the device set its bit, written after.
  driver().WriteStatus(kLive | kStatusFailed);
  EXPECT_EQ(driver().Status(), kLive | kNeedsReset | kStatusFailed);
}

TEST_P(TransportTest, ReservedAndDeviceBitsCannotBeSetByDriver) {
  driver().WriteStatus(0);
  driver().WriteStatus(kAck | kStatusSuspend | 32 | kNeedsReset);
  EXPECT_EQ(driver().Status(), kAck);
}

TEST_P(TransportTest, EverySequenceOfTwoStatusWritesKeepsInvariants) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      driver().WriteStatus(0);
      driver().WriteDriverFeatures(1, 1);
      driver().WriteStatus(static_cast<uint8_t>(first));
      const uint8_t before = driver().Status();
      driver().WriteStatus(static_cast<uint8_t>(second));
      const uint8_t after = driver().Status();
      if (second == 0) {
        ASSERT_EQ(after, 0);
      } else {
        ASSERT_EQ(after & before, before) << "a bit was cleared";
      }
      ASSERT_EQ(after & ~(kLive | kStatusFailed), 0);
      // The bits are a prefix of the initialization, no other set.
      ASSERT_THAT(after & kLive, AnyOf(0, kAck, kDriver, kFeatures, kLive));
    }
  }
}

TEST_P(TransportTest, NothingButResetFollowsFailed) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().WriteStatus(kFeatures | kStatusFailed);
  device().TakeCalls();
  driver().SetUpQueue(0, 16);
  EXPECT_EQ(driver().QueueEnable(), 0u);
  driver().WriteStatus(kLive | kStatusFailed);
  EXPECT_EQ(driver().Status(), kFeatures | kStatusFailed);
  EXPECT_THAT(device().TakeCalls(), IsEmpty());
  driver().Initialize();
  EXPECT_EQ(driver().Status(), kLive);
}

// ---- Features, virtio 1.4 §2.2 ----

TEST_P(TransportTest, FeaturePagesZeroToThreeShowWhatTheDeviceOffers) {
  EXPECT_EQ(driver().DeviceFeatures(0),
            1u | 1u << kFeatureIndirectDesc | 1u << kFeatureEventIdx);
  // VERSION_1, RING_PACKED, and the transport's own NOTIFICATION_DATA and
  // RING_RESET.
  EXPECT_EQ(driver().DeviceFeatures(1), 1u | 1u << 2 | 1u << 6 | 1u << 8);
  EXPECT_EQ(driver().DeviceFeatures(2), 1u << (70 - 64));
  EXPECT_EQ(driver().DeviceFeatures(3), 1u << 31);
  for (const uint32_t page : {4u, 5u, 128u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(driver().DeviceFeatures(page), 0u) << page;
  }
}

TEST_P(TransportTest, FeaturesThatNoTransportImplementsAreNotOffered) {
  FakeDevice::Options options;
  for (uint32_t bit = 32; bit < 64; ++bit) options.features.Add(bit);
  Make(options);
  const uint32_t page1 = driver().DeviceFeatures(1);
  EXPECT_EQ(page1 >> (kFeatureNotifConfigData - 32) & 1, 0u);
  EXPECT_EQ(page1 >> (kFeatureSrIov - 32) & 1, 0u);
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureSrIov));
  EXPECT_EQ(driver().Status(), kDriver);
}

TEST_P(TransportTest, FeaturesOfTheTransportAreItsToOfferNotTheDevices) {
  FakeDevice::Options options;
  options.features.Add(kFeatureRingReset);
  options.features.Add(kFeatureNotificationData);
  Make(options, {.ring_reset = false, .notification_data = false});
  EXPECT_EQ(driver().DeviceFeatures(1), 1u | 1u << 2);
  for (const uint32_t bit : {kFeatureRingReset, kFeatureNotificationData}) {
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1, bit));
    EXPECT_EQ(driver().Status(), kDriver) << bit;
  }
}

TEST_P(TransportTest, DeviceIsNotToldOfFeaturesOfTheTransport) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingReset,
                                    kFeatureNotificationData));
  driver().SetUpQueue(0, 16);
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_EQ(device().started_features(), FeatureSet::Of(kFeatureVersion1));
  EXPECT_EQ(device().queue(0)->config.features,
            FeatureSet::Of(kFeatureVersion1));
}

TEST_P(TransportTest, FeaturesOfAllPagesAreNegotiated) {
  const FeatureSet features = device().offered_features();
  driver().Negotiate(features);
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_EQ(device().started_features(), features);
}

TEST_P(TransportTest, FeatureNotOfferedKeepsFeaturesOkClear) {
  for (uint32_t bit = 0; bit < 128; ++bit) {
    if ((driver().DeviceFeatures(bit / 32) >> (bit % 32) & 1) != 0) continue;
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1, bit));
    EXPECT_EQ(driver().Status(), kDriver) << bit;
  }
}

TEST_P(TransportTest, MissingVersion1KeepsFeaturesOkClear) {
  driver().Negotiate(FeatureSet::Of(kFeatureRingPacked));
  EXPECT_EQ(driver().Status(), kDriver);
}

TEST_P(TransportTest, FeaturesThatTheDeviceRejectsKeepFeaturesOkClear) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureEventIdx));
  EXPECT_EQ(driver().Status(), kDriver);
  // The driver may try again with a better set.
  driver().WriteDriverFeatures(0, 1u | 1u << kFeatureEventIdx);
  driver().WriteStatus(kFeatures);
  EXPECT_EQ(driver().Status(), kFeatures);
}

TEST_P(TransportTest, WritesToFeaturePagesThatDoNotExistAreIgnored) {
  driver().ResetAndAcknowledge();
  driver().WriteDriverFeatures(1, 1);
  for (const uint32_t page : {4u, 33u, 0xffffffffu}) {
    driver().WriteDriverFeatures(page, 0xffffffff);
  }
  driver().WriteStatus(kFeatures);
  EXPECT_EQ(driver().Status(), kFeatures);
}

TEST_P(TransportTest, FeaturesAreFrozenByFeaturesOk) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
  for (uint32_t page = 0; page < 4; ++page) {
    driver().WriteDriverFeatures(page, 0xffffffff);
    driver().WriteDriverFeatures(page, 0);
  }
  driver().WriteStatus(kFeatures);  // A second FEATURES_OK changes nothing.
  EXPECT_EQ(driver().Status(), kFeatures);
  driver().SetUpQueue(0, 16);
  driver().DriverOk();
  EXPECT_EQ(device().started_features(),
            FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
  EXPECT_EQ(device().queue(0)->config.features,
            FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
}

TEST_P(TransportTest, RenegotiationAfterResetMayDropRingPacked) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
  driver().SetUpQueue(0, 100);
  driver().DriverOk();
  EXPECT_EQ(device().queue(0)->config.size, 100);
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  EXPECT_FALSE(device().queue(0).has_value());
  driver().SetUpQueue(0, 128);
  driver().DriverOk();
  EXPECT_EQ(device().queue(0)->config.size, 128);
  EXPECT_FALSE(device().queue(0)->config.features.Has(kFeatureRingPacked));
}

// ---- Queues, virtio 1.4 §2.6 ----

TEST_P(TransportTest, QueueSizeIsTheMaximumAfterReset) {
  driver().SelectQueue(0);
  EXPECT_EQ(driver().QueueSize(), 256u);
  driver().SelectQueue(1);
  EXPECT_EQ(driver().QueueSize(), 64u);
}

TEST_P(TransportTest, QueueSelectOutOfRangeReadsZeroAndIgnoresWrites) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  for (const int queue : {2, 3, 255, 256, 32768, 65534, 65535}) {
    driver().SetUpQueue(static_cast<uint16_t>(queue), 16);
    EXPECT_EQ(driver().QueueSize(), 0u) << queue;
    EXPECT_EQ(driver().QueueEnable(), 0u) << queue;
    driver().WriteQueueEnable(0);
  }
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("Reset", "Start"));
}

TEST_P(TransportTest, QueueRegistersAreFrozenWhileEnabled) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SetUpQueue(0, 16);
  for (const bool live : {false, true}) {
    if (live) driver().DriverOk();
    for (const uint16_t size : {0, 1, 8, 256, 257, 65535}) {
      driver().WriteQueueSize(size);
    }
    driver().WriteQueueArea(QueueArea::kDescriptor, 0x9000);
    driver().WriteQueueArea(QueueArea::kDriver, 0x9000);
    driver().WriteQueueArea(QueueArea::kDevice, 0x9000);
    driver().WriteQueueEnable(1);
  }
  EXPECT_EQ(driver().Status(), kLive);
  EXPECT_THAT(device().TakeCalls(),
              ElementsAre("Reset", "Start", "StartQueue 0"));
  const auto queue = device().queue(0);
  EXPECT_EQ(queue->config.size, 16);
  EXPECT_EQ(queue->config.descriptor.value(), 0x1000u);
  EXPECT_EQ(queue->config.driver.value(), 0x2000u);
  EXPECT_EQ(queue->config.device.value(), 0x3000u);
}

TEST_P(TransportTest, QueueRegistersNeedFeaturesOk) {
  driver().ResetAndAcknowledge();
  driver().SetUpQueue(0, 16);
  EXPECT_EQ(driver().QueueEnable(), 0u);
}

TEST_P(TransportTest, SplitQueueOfUnusableSizeNeedsReset) {
  for (const uint16_t size : {0, 3, 100, 255, 257, 512, 32768, 65535}) {
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
    driver().SetUpQueue(0, size);
    EXPECT_EQ(driver().QueueEnable(), 0u) << size;
    EXPECT_EQ(driver().Status(), kFeatures | kNeedsReset) << size;
    driver().DriverOk();
    EXPECT_EQ(driver().Status(), kFeatures | kNeedsReset) << size;
  }
  driver().Initialize();
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(TransportTest, PackedQueueMayHaveAnySizeUpToMaximum) {
  for (const uint16_t size : {1, 2, 3, 100, 255, 256}) {
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
    driver().SetUpQueue(0, size);
    driver().DriverOk();
    EXPECT_EQ(device().queue(0)->config.size, size);
  }
  for (const uint16_t size : {0, 257, 32769, 65535}) {
    driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
    driver().SetUpQueue(0, size);
    EXPECT_EQ(driver().Status(), kFeatures | kNeedsReset) << size;
  }
}

TEST_P(TransportTest, QueueEnableTakesNoValueButOne) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SelectQueue(0);
  for (const uint16_t value : {2, 3, 255, 256, 65535}) {
    driver().WriteQueueEnable(value);
    EXPECT_EQ(driver().QueueEnable(), 0u) << value;
  }
}

TEST_P(TransportTest, QueueEnabledAfterDriverOkStartsAtOnce) {
  driver().Initialize();
  device().TakeCalls();
  driver().SetUpQueue(1, 8);
  EXPECT_EQ(driver().QueueEnable(), 1u);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("StartQueue 1"));
  EXPECT_EQ(device().queue(1)->config.size, 8);
}

// ---- Available and used buffer notifications, §2.3 ----

TEST_P(TransportTest, NotificationReachesTheWorkersEventFd) {
  driver().Initialize();
  driver().SetUpQueue(1, 16);
  driver().Notify(1);
  EXPECT_TRUE(device().queue(1)->notification->Drain());
  EXPECT_FALSE(device().queue(0)->notification->Drain());
}

TEST_P(TransportTest, NotificationOfQueueThatDoesNotExistIsIgnored) {
  driver().Initialize();
  for (const uint32_t queue : {2u, 3u, 255u}) driver().Notify(queue);
  EXPECT_FALSE(device().queue(0)->notification->Drain());
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(TransportTest, NotificationOfQueueThatIsNotEnabledIsIgnored) {
  driver().Notify(0);
  driver().Initialize();
  driver().Notify(1);
  driver().SetUpQueue(1, 16);
  EXPECT_FALSE(device().queue(0)->notification->Drain());
  EXPECT_FALSE(device().queue(1)->notification->Drain());
  driver().WriteStatus(0);
  driver().Notify(0);
  driver().Initialize();
  EXPECT_FALSE(device().queue(0)->notification->Drain());
}

TEST_P(TransportTest, UsedBufferNotificationInterruptsTheDriver) {
  driver().Initialize();
  device().queue(0)->interrupt->Trigger();
  device().queue(0)->interrupt->Trigger();
  EXPECT_EQ(driver().TakeUsedBufferInterrupts(), 2);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 0);
}

// ---- What an observer is told ----

class RecordingObserver final : public DeviceObserver {
 public:
  void DriverReady() override { told.emplace_back("ready"); }
  void DeviceReset() override { told.emplace_back("reset"); }
  void QueueBroken(uint16_t queue) override {
    told.push_back("broken " + std::to_string(queue));
  }
  std::vector<std::string> told;
};

TEST_P(TransportTest, ObserverIsToldOfDriversAndOfBrokenQueuesByNumber) {
  RecordingObserver observer;
  Make({}, {.observer = &observer});
  driver().ResetAndAcknowledge();
  EXPECT_THAT(observer.told, ElementsAre());  // There was no driver.
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SetUpQueue(0, 16);
  driver().SetUpQueue(1, 16);
  driver().DriverOk();
  device().queue(1)->host->NeedsReset();
  device().queue(0)->host->NeedsReset();
  driver().WriteStatus(0);
  driver().WriteStatus(0);
  EXPECT_THAT(observer.told,
              ElementsAre("ready", "broken 1", "broken 0", "reset"));
}

TEST_P(TransportTest, ObserverIsToldOfAQueueThatCannotBe) {
  RecordingObserver observer;
  Make({}, {.observer = &observer});
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SelectQueue(1);
  driver().WriteQueueSize(3);  // No power of two.
  driver().WriteQueueEnable(1);
  EXPECT_THAT(observer.told, ElementsAre("broken 1"));
}

// ---- DEVICE_NEEDS_RESET and reset, §2.1.2 and §2.4 ----

TEST_P(TransportTest, BrokenQueueSetsNeedsResetAndNotifiesOnce) {
  driver().Initialize();
  device().Break();
  device().Break();
  EXPECT_EQ(driver().Status(), kLive | kNeedsReset);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 1);
  EXPECT_EQ(driver().TakeUsedBufferInterrupts(), 0);
}

TEST_P(TransportTest, QueueThatIsBrokenAtStartNotifiesAndLeavesOthersRunning) {
  FakeDevice::Options options;
  options.broken_queue = 0;
  Make(options);
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  driver().SetUpQueue(0, 16);
  driver().SetUpQueue(1, 16);
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kLive | kNeedsReset);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 1);
  EXPECT_TRUE(device().queue(1).has_value());
}

TEST_P(TransportTest, OnlyResetLeavesNeedsReset) {
  driver().Initialize();
  device().Break();
  for (int value = 1; value < 256; ++value) {
    driver().WriteStatus(static_cast<uint8_t>(value));
    EXPECT_EQ(driver().Status() & (kLive | kNeedsReset), kLive | kNeedsReset);
  }
  driver().SetUpQueue(1, 16);
  EXPECT_EQ(driver().QueueEnable(), 0u);
  driver().WriteStatus(0);
  EXPECT_EQ(driver().Status(), 0);
  driver().Initialize();
  EXPECT_EQ(driver().Status(), kLive);
}

TEST_P(TransportTest, NeedsResetBeforeDriverOkKeepsDriverOkClear) {
  driver().Initialize();
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  device().Break();
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 0);
  driver().DriverOk();
  EXPECT_EQ(driver().Status(), kFeatures | kNeedsReset);
}

TEST_P(TransportTest, ResetReturnsEverythingToItsInitialValue) {
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked));
  driver().SetUpQueue(1, 8);
  driver().SetUpQueue(0, 8);
  driver().DriverOk();
  device().queue(0)->interrupt->Trigger();
  device().Break();
  // These are delivered already.
  EXPECT_GE(driver().TakeUsedBufferInterrupts(), 1);
  driver().TakeConfigurationInterrupts();
  device().TakeCalls();

  driver().WriteStatus(0);
  EXPECT_THAT(device().TakeCalls(), ElementsAre("Reset"));
  EXPECT_EQ(driver().Status(), 0);
  EXPECT_EQ(driver().QueueSize(), 256u);  // Queue 0 is selected again.
  EXPECT_EQ(driver().QueueEnable(), 0u);
  EXPECT_EQ(driver().TakeUsedBufferInterrupts(), 0);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 0);
  // The accepted features are gone as well.
  driver().ResetAndAcknowledge();
  driver().WriteStatus(kFeatures);
  EXPECT_EQ(driver().Status(), kDriver);
  driver().WriteDriverFeatures(1, 1);
  driver().WriteStatus(kFeatures);
  driver().SelectQueue(0);
  driver().WriteQueueEnable(1);
  driver().DriverOk();
  EXPECT_EQ(device().queue(0)->config.size, 256);
  EXPECT_EQ(device().queue(0)->config.descriptor.value(), 0u);
}

// ---- Configuration space, §2.5 ----

TEST_P(TransportTest, ConfigReadsOfEveryWidthAndOffset) {
  for (const size_t width : {1, 2, 4, 8}) {
    for (uint32_t offset = 0; offset < 24; ++offset) {
      const std::vector<uint8_t> data = driver().ReadConfig(offset, width);
      for (size_t i = 0; i < width; ++i) {
        const size_t at = offset + i;
        EXPECT_EQ(data[i], at < 8 ? 0xa0 + at : 0) << offset << " " << width;
      }
    }
  }
}

TEST_P(TransportTest, ConfigWriteThatIsNotWhollyInsideIsIgnored) {
  driver().WriteConfig(5, {1, 2, 3, 4});
  driver().WriteConfig(7, {1, 2});
  driver().WriteConfig(8, {1});
  driver().WriteConfig(0xe00, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(driver().ReadConfig(4, 4),
            (std::vector<uint8_t>{0xa4, 0xa5, 0xa6, 0xa7}));
  driver().WriteConfig(4, {1, 2, 3, 4});
  EXPECT_EQ(driver().ReadConfig(4, 4), (std::vector<uint8_t>{1, 2, 3, 4}));
}

TEST_P(TransportTest, GenerationDiffersAfterTheDriverSawAChange) {
  driver().Initialize();
  uint32_t before = driver().Generation();
  EXPECT_EQ(driver().Generation(), before);
  // 256 changes: a mere 8-bit counter would be back where it was.
  for (int i = 0; i < 256; ++i) device().ChangeConfig(0, 1);
  driver().ReadConfig(0, 4);
  EXPECT_NE(driver().Generation(), before);
  before = driver().Generation();
  driver().ReadConfig(0, 4);
  EXPECT_EQ(driver().Generation(), before);
}

TEST_P(TransportTest, ConfigChangeNotifiesOnlyFromDriverOkToReset) {
  driver().Initialize();
  device().ChangeConfig(0, 1);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 1);
  driver().Negotiate(FeatureSet::Of(kFeatureVersion1));
  device().ChangeConfig(0, 2);
  EXPECT_EQ(driver().TakeConfigurationInterrupts(), 0);
}

// ---- Threads ----

// Run under ThreadSanitizer, which judges; the assertions are a bonus.
TEST_P(TransportTest, VcpuThreadsAndWorkerMayDoAnythingAtOnce) {
  const auto vcpu = [this] {
    for (int i = 0; i < 200; ++i) {
      driver().Initialize();
      driver().Notify(0);
      driver().ReadConfig(0, 8);
      driver().WriteConfig(0, {1, 2});
      driver().Generation();
      driver().QueueSize();
      driver().WriteQueueEnable(0);
      driver().Status();
    }
  };
  std::thread first(vcpu);
  std::thread second(vcpu);
  std::thread worker([this] {
    for (int i = 0; i < 2000; ++i) {
      device().Break();
      device().ChangeConfig(0, static_cast<uint8_t>(i));
      const auto queue = device().queue(0);
      if (queue.has_value()) queue->interrupt->Trigger();
    }
  });
  first.join();
  second.join();
  worker.join();
  driver().Initialize();
  EXPECT_EQ(driver().Status(), kLive);
}

}  // namespace
}  // namespace annulus::virtio
