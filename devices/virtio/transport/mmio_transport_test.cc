// What is particular to MMIO; transport_test.cc has what all transports share.

#include "devices/virtio/transport/mmio_transport.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/test_memory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kBase = 0xd0001000;
constexpr uint32_t kLive =
    kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk;

class MmioTransportTest : public ::testing::Test {
 protected:
  MmioTransportTest() {
    auto transport = MmioTransport::Create(device_, *memory_, line_, registrar_,
                                           memory::GuestAddress(kBase));
    EXPECT_TRUE(transport.ok());
    transport_ = *std::move(transport);
  }

  uint32_t Get(uint64_t offset) {
    uint8_t data[4];
    transport_->Read(offset, absl::MakeSpan(data));
    return data[0] | data[1] << 8 | data[2] << 16 |
           static_cast<uint32_t>(data[3]) << 24;
  }
  void Set(uint64_t offset, uint32_t value) {
    const uint8_t data[4] = {
        static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
        static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
    transport_->Write(offset, data);
  }
  void Negotiate() {
    Set(kMmioStatus, 0);
    Set(kMmioStatus, kStatusAcknowledge);
    Set(kMmioStatus, kStatusAcknowledge | kStatusDriver);
    Set(kMmioDriverFeaturesSel, 1);
    Set(kMmioDriverFeatures, 1);
    Set(kMmioStatus, kLive & ~kStatusDriverOk);
  }
  void EnableQueue(uint32_t queue) {
    Set(kMmioQueueSel, queue);
    Set(kMmioQueueSize, 16);
    Set(kMmioQueueReady, 1);
  }
  void Initialize() {
    Negotiate();
    EnableQueue(0);
    Set(kMmioStatus, kLive);
  }
  // Every register that can be read, by offset.
  std::map<uint32_t, uint32_t> Snapshot() {
    std::map<uint32_t, uint32_t> registers;
    for (uint32_t offset = 0; offset < kMmioConfig + 8; offset += 4) {
      registers[offset] = Get(offset);
    }
    return registers;
  }

  FakeDevice device_;
  FakeInterrupt line_;
  FakeRegistrar registrar_;
  TestMemory memory_;
  std::unique_ptr<MmioTransport> transport_;
};

TEST_F(MmioTransportTest, IdentifiesItself) {
  EXPECT_EQ(Get(kMmioMagicValue), 0x74726976u);
  EXPECT_EQ(Get(kMmioVersion), 2u);
  EXPECT_EQ(Get(kMmioDeviceId), 4u);
}

TEST_F(MmioTransportTest, CreateRefusesConfigurationThatDoesNotFit) {
  FakeDevice::Options options;
  options.config_size = 0xf00;
  FakeDevice fits(options);
  EXPECT_TRUE(MmioTransport::Create(fits, *memory_, line_, registrar_,
                                    memory::GuestAddress(0))
                  .ok());
  options.config_size = 0xf01;
  FakeDevice large(options);
  EXPECT_TRUE(absl::IsInvalidArgument(
      MmioTransport::Create(large, *memory_, line_, registrar_,
                            memory::GuestAddress(0))
          .status()));
}

TEST_F(MmioTransportTest, CreateRefusesWindowThatWraps) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      MmioTransport::Create(device_, *memory_, line_, registrar_,
                            memory::GuestAddress(0xfffffffffffff001))
          .status()));
}

// Bad input A.6: only aligned 32-bit accesses reach a register.
TEST_F(MmioTransportTest, AccessOfOtherWidthOrAlignmentReadsZeroAndIsIgnored) {
  for (const bool live : {false, true}) {
    if (live) Initialize();
    device_.TakeCalls();
    const std::map<uint32_t, uint32_t> before = Snapshot();
    for (uint32_t offset = 0; offset < kMmioConfig; ++offset) {
      for (size_t width = 1; width <= 8; ++width) {
        if (width == 4 && offset % 4 == 0) continue;
        for (const uint8_t byte : {0x00, 0x01, 0xff}) {
          transport_->Write(offset, std::vector<uint8_t>(width, byte));
        }
        std::vector<uint8_t> data(width, 0x5a);
        transport_->Read(offset, absl::MakeSpan(data));
        EXPECT_EQ(data, std::vector<uint8_t>(width, 0))
            << offset << " " << width;
      }
    }
    EXPECT_EQ(Snapshot(), before);
    EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  }
}

TEST_F(MmioTransportTest, WriteOnlyAndUnknownRegistersReadZero) {
  Initialize();
  Set(kMmioQueueSel, 1);
  for (const uint32_t offset :
       {kMmioDeviceFeaturesSel, kMmioDriverFeatures, kMmioDriverFeaturesSel,
        kMmioQueueSel, kMmioQueueSize, kMmioQueueNotify, kMmioInterruptAck,
        kMmioQueueDescLow, kMmioQueueDescHigh, kMmioQueueDriverLow,
        kMmioQueueDriverHigh, kMmioQueueDeviceLow, kMmioQueueDeviceHigh,
        kMmioShmSel, kMmioQueueReset}) {
    EXPECT_EQ(Get(offset), 0u) << offset;
  }
  for (const uint32_t offset :
       {0x18u, 0x1cu, 0x28u, 0x3cu, 0x40u, 0x48u, 0x58u, 0x7cu, 0xccu, 0xf8u}) {
    Set(offset, 0xffffffff);
    EXPECT_EQ(Get(offset), 0u) << offset;
  }
}

TEST_F(MmioTransportTest, ReadOnlyRegistersIgnoreWrites) {
  Initialize();
  const std::map<uint32_t, uint32_t> before = Snapshot();
  for (const uint32_t offset :
       {kMmioMagicValue, kMmioVersion, kMmioDeviceId, kMmioVendorId,
        kMmioDeviceFeatures, kMmioQueueSizeMax, kMmioInterruptStatus,
        kMmioShmLenLow, kMmioShmLenHigh, kMmioShmBaseLow, kMmioShmBaseHigh,
        kMmioQueueReset, kMmioConfigGeneration}) {
    for (const uint32_t value : {0u, 1u, 0xffffffffu}) Set(offset, value);
  }
  EXPECT_EQ(Snapshot(), before);
}

// Any 32-bit value into any register, in any phase, keeps the invariants.
TEST_F(MmioTransportTest, EveryRegisterSurvivesEveryKindOfValue) {
  for (int phase = 0; phase < 3; ++phase) {
    for (uint32_t offset = 0; offset < kMmioConfig + 16; offset += 4) {
      for (const uint32_t value :
           {0u, 1u, 2u, 0x7fu, 0xffu, 0x100u, 0xffffu, 0x10000u, 0x7fffffffu,
            0x80000000u, 0xfffffffeu, 0xffffffffu}) {
        Set(kMmioStatus, 0);
        if (phase >= 1) Negotiate();
        if (phase >= 2) Initialize();
        Set(offset, value);
        const uint32_t status = Get(kMmioStatus);
        EXPECT_THAT(status & kLive, testing::AnyOf(0, 1, 3, 11, 15));
        EXPECT_LE(Get(kMmioQueueReady), 1u);
        EXPECT_EQ(Get(kMmioMagicValue), kMmioMagic);
        EXPECT_EQ(Get(kMmioInterruptStatus) & ~3u, 0u);
      }
    }
  }
  Initialize();
  EXPECT_EQ(Get(kMmioStatus), kLive);
}

TEST_F(MmioTransportTest, SharedMemoryRegionsDoNotExist) {
  for (const uint32_t id : {0u, 1u, 0xffffffffu}) {
    Set(kMmioShmSel, id);
    EXPECT_EQ(Get(kMmioShmLenLow), 0xffffffffu);
    EXPECT_EQ(Get(kMmioShmLenHigh), 0xffffffffu);
    EXPECT_EQ(Get(kMmioShmBaseLow), 0xffffffffu);
    EXPECT_EQ(Get(kMmioShmBaseHigh), 0xffffffffu);
  }
}

// Bad input A.3, with the 16 bits more that MMIO has.
TEST_F(MmioTransportTest, QueueSelectIsNotTruncated) {
  Negotiate();
  for (const uint32_t queue : {0x10000u, 0x10001u, 0x80000000u, 0xffffffffu}) {
    EnableQueue(queue);
    EXPECT_EQ(Get(kMmioQueueSizeMax), 0u) << queue;
    EXPECT_EQ(Get(kMmioQueueReady), 0u) << queue;
  }
  Set(kMmioQueueSel, 0);
  EXPECT_EQ(Get(kMmioQueueReady), 0u);
}

TEST_F(MmioTransportTest, StatusIsNotTruncated) {
  Initialize();
  device_.TakeCalls();
  Set(kMmioStatus, 0x100);  // Not 0: no reset.
  EXPECT_EQ(Get(kMmioStatus), kLive);
  Set(kMmioStatus, 0xffffff00 | kLive);
  EXPECT_EQ(Get(kMmioStatus), kLive);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(MmioTransportTest, NotificationIsNotTruncated) {
  Initialize();
  for (const uint32_t value : {0x10000u, 0x80000000u, 0xffffffffu}) {
    Set(kMmioQueueNotify, value);
  }
  EXPECT_FALSE(device_.queue(0)->notification->Drain());
  Set(kMmioQueueNotify, 0);
  EXPECT_TRUE(device_.queue(0)->notification->Drain());
}

// 32 bits are the index, without VIRTIO_F_NOTIFICATION_DATA; with it, the
// lower 16 are.
TEST_F(MmioTransportTest, NotificationDataAreTakenApartOnlyIfNegotiated) {
  Initialize();
  Set(kMmioQueueNotify, 0x00050000);
  EXPECT_FALSE(device_.queue(0)->notification->Drain());
  Set(kMmioStatus, 0);
  Set(kMmioStatus, kStatusAcknowledge | kStatusDriver);
  Set(kMmioDriverFeaturesSel, 1);
  Set(kMmioDriverFeatures, 1u | 1u << (kFeatureNotificationData - 32));
  Set(kMmioStatus, kLive & ~kStatusDriverOk);
  EnableQueue(0);
  Set(kMmioStatus, kLive);
  Set(kMmioQueueNotify, 0x00050000);
  EXPECT_TRUE(device_.queue(0)->notification->Drain());
}

TEST_F(MmioTransportTest, QueueReadyZeroStopsTheQueueAndThawsItsRegisters) {
  Initialize();
  device_.TakeCalls();
  Set(kMmioQueueReady, 0);
  EXPECT_EQ(Get(kMmioQueueReady), 0u);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("StopQueue 0"));
  Set(kMmioQueueReady, 0);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  Set(kMmioQueueSize, 32);
  Set(kMmioQueueReady, 1);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("StartQueue 0"));
  EXPECT_EQ(device_.queue(0)->config.size, 32);
}

TEST_F(MmioTransportTest, QueueReadyZeroBeforeDriverOkOnlyDisables) {
  Negotiate();
  EnableQueue(0);
  Set(kMmioQueueReady, 0);
  Set(kMmioStatus, kLive);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("Reset", "Start"));
}

TEST_F(MmioTransportTest, InterruptStatusHoldsCausesUntilAcknowledged) {
  Initialize();
  EXPECT_EQ(Get(kMmioInterruptStatus), 0u);
  device_.queue(0)->interrupt->Trigger();
  device_.ChangeConfig(0, 1);
  EXPECT_EQ(line_.Take(), 2);
  EXPECT_EQ(Get(kMmioInterruptStatus), 3u);
  EXPECT_EQ(Get(kMmioInterruptStatus), 3u) << "reading acknowledges nothing";
  Set(kMmioInterruptAck, 1);
  EXPECT_EQ(Get(kMmioInterruptStatus), 2u);
  Set(kMmioInterruptAck, 0xfffffffd);
  EXPECT_EQ(Get(kMmioInterruptStatus), 2u);
  Set(kMmioInterruptAck, 0xffffffff);
  EXPECT_EQ(Get(kMmioInterruptStatus), 0u);
}

TEST_F(MmioTransportTest, ResetClearsInterruptStatus) {
  Initialize();
  device_.queue(0)->interrupt->Trigger();
  device_.Break();
  EXPECT_EQ(Get(kMmioInterruptStatus), 3u);
  Set(kMmioStatus, 0);
  EXPECT_EQ(Get(kMmioInterruptStatus), 0u);
}

TEST_F(MmioTransportTest, NotificationsAreBoundByQueueIndex) {
  EXPECT_EQ(registrar_.size(), 2u);
  Initialize();
  EXPECT_EQ(registrar_.Find(kBase + 0x50, 4, 0),
            device_.queue(0)->notification->fd());
  EXPECT_NE(registrar_.Find(kBase + 0x50, 4, 1), -1);
  transport_.reset();
  EXPECT_EQ(registrar_.size(), 0u);
  EXPECT_EQ(registrar_.bad_unbinds(), 0);
}

// Of one queue there is no other that a notification could be for.
TEST_F(MmioTransportTest, NotificationsOfTheOnlyQueueAreBoundWhateverTheyAre) {
  FakeDevice device({.queue_sizes = {16}});
  FakeRegistrar registrar;
  auto transport = MmioTransport::Create(device, *memory_, line_, registrar,
                                         memory::GuestAddress(kBase));
  ASSERT_TRUE(transport.ok());
  EXPECT_EQ(registrar.size(), 1u);
  EXPECT_EQ(registrar.Find(kBase + 0x50, 4, std::nullopt),
            (*transport)->state().notification(0).fd());
  transport->reset();
  EXPECT_EQ(registrar.size(), 0u);
  EXPECT_EQ(registrar.bad_unbinds(), 0);
}

TEST_F(MmioTransportTest, RefusedBindingFallsBackToTheRegister) {
  transport_.reset();
  registrar_.set_refuse(true);
  auto transport = MmioTransport::Create(device_, *memory_, line_, registrar_,
                                         memory::GuestAddress(kBase));
  ASSERT_TRUE(transport.ok());
  transport_ = *std::move(transport);
  Initialize();
  Set(kMmioQueueNotify, 0);
  EXPECT_TRUE(device_.queue(0)->notification->Drain());
}

TEST_F(MmioTransportTest, DestructionResetsTheDevice) {
  Initialize();
  device_.TakeCalls();
  transport_.reset();
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("Reset"));
}

}  // namespace
}  // namespace annulus::virtio
