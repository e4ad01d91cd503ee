// What is particular to PCI; transport_test.cc has what all transports share.

#include "devices/virtio/transport/pci_transport.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/pci/config_registers.h"
#include "devices/pci/fake_machine.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/register_bytes.h"
#include "devices/virtio/transport/test_memory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kBar = pci::FakeBarMapper::kStart;
constexpr uint8_t kLive =
    kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk;

// The layout, as the class comment of PciTransport has it.
constexpr uint32_t kIsr = 0x1000;
constexpr uint32_t kDevice = 0x2000;
constexpr uint32_t kNotify = 0x3000;
constexpr uint32_t kPending = 0x4000;
constexpr uint32_t kTable = 0x8000;

#define FIELD(name) offsetof(PciCommonCfg, name)

class PciTransportTest : public ::testing::Test {
 protected:
  PciTransportTest() {
    auto transport = Create(device_);
    EXPECT_TRUE(transport.ok());
    transport_ = *std::move(transport);
  }

  absl::StatusOr<std::unique_ptr<PciTransport>> Create(
      VirtioDevice& device, memory::GuestAddress bar = {}) {
    return PciTransport::Create(device,
                                {.memory = *memory_,
                                 .vectors = vectors_,
                                 .bars = mapper_,
                                 .notifications = registrar_},
                                bar);
  }

  uint32_t GetConfig(uint32_t offset, size_t width) {
    uint8_t data[4];
    transport_->ReadConfig(offset, absl::MakeSpan(data).first(width));
    return LoadRegister(absl::MakeConstSpan(data).first(width));
  }
  void SetConfig(uint32_t offset, size_t width, uint32_t value) {
    uint8_t data[4];
    StoreRegister(value, absl::MakeSpan(data));
    transport_->WriteConfig(offset, absl::MakeConstSpan(data).first(width));
  }
  void PlaceBar(uint64_t address) {
    SetConfig(pci::kConfigCommand, 2, 0);
    SetConfig(pci::kConfigBar0, 4, static_cast<uint32_t>(address));
    SetConfig(pci::kConfigBar0 + 4, 4, static_cast<uint32_t>(address >> 32));
    SetConfig(pci::kConfigCommand, 2, pci::kCommandMemorySpace);
  }
  // Offset of the capability with this cfg_type, 0 if there is none; of MSI-X
  // for 0.
  uint32_t FindCapability(uint8_t cfg_type) {
    uint32_t at = GetConfig(pci::kConfigCapabilitiesPointer, 1);
    for (; at != 0; at = GetConfig(at + 1, 1)) {
      const uint32_t id = GetConfig(at, 1);
      if (cfg_type == 0 && id == pci::kCapabilityMsix) return at;
      if (id == pci::kCapabilityVendorSpecific &&
          GetConfig(at + offsetof(PciCap, cfg_type), 1) == cfg_type) {
        return at;
      }
    }
    return 0;
  }
  void EnableMsix() {
    SetConfig(FindCapability(0) + 2, 2, pci::kMsixEnable);
    for (uint32_t i = 0; i < 3; ++i) {
      Set(kTable + 16 * i, 4, 0xfee00000);
      Set(kTable + 16 * i + 8, 4, 0x40 + i);
      Set(kTable + 16 * i + 12, 4, 0);
    }
  }

  BusDevice& bar() { return *mapper_.device(); }
  uint32_t Get(uint64_t offset, size_t width) {
    uint8_t data[4];
    bar().Read(offset, absl::MakeSpan(data).first(width));
    return LoadRegister(absl::MakeConstSpan(data).first(width));
  }
  void Set(uint64_t offset, size_t width, uint32_t value) {
    uint8_t data[4];
    StoreRegister(value, absl::MakeSpan(data));
    bar().Write(offset, absl::MakeConstSpan(data).first(width));
  }
  void SetStatus(uint8_t status) { Set(FIELD(device_status), 1, status); }
  uint8_t Status() {
    return static_cast<uint8_t>(Get(FIELD(device_status), 1));
  }
  // VERSION_1 and what `more` has of bits 32 to 63.
  void Negotiate(uint32_t more = 0) {
    SetStatus(0);
    SetStatus(kStatusAcknowledge | kStatusDriver);
    Set(FIELD(driver_feature_select), 4, 1);
    Set(FIELD(driver_feature), 4, 1 | more);
    SetStatus(kLive & ~kStatusDriverOk);
  }
  void Initialize() {
    Negotiate();
    Set(FIELD(queue_select), 2, 0);
    Set(FIELD(queue_size), 2, 16);
    Set(FIELD(queue_enable), 2, 1);
    SetStatus(kLive);
  }
  // All fields of the common configuration, by offset.
  std::map<uint32_t, uint32_t> Snapshot() {
    std::map<uint32_t, uint32_t> fields;
    for (const auto& [offset, width] : Fields()) {
      fields[offset] = Get(offset, width);
    }
    return fields;
  }
  // Offset and width of every access that §4.1.3.1 allows.
  static std::map<uint32_t, size_t> Fields() {
    std::map<uint32_t, size_t> fields;
    for (uint32_t at = 0; at < 0x10; at += 4) fields[at] = 4;
    fields[FIELD(config_msix_vector)] = 2;
    fields[FIELD(num_queues)] = 2;
    fields[FIELD(device_status)] = 1;
    fields[FIELD(config_generation)] = 1;
    for (uint32_t at = 0x16; at < 0x20; at += 2) fields[at] = 2;
    for (uint32_t at = 0x20; at < 0x38; at += 4) fields[at] = 4;
    for (uint32_t at = 0x38; at < 0x40; at += 2) fields[at] = 2;
    return fields;
  }

  FakeDevice device_;
  TestMemory memory_;
  pci::FakeMsiVectorFactory vectors_;
  pci::FakeBarMapper mapper_;
  FakeRegistrar registrar_;
  std::unique_ptr<PciTransport> transport_;
};

// ---- Configuration space ----

TEST_F(PciTransportTest, IdentifiesItselfAsNonTransitional) {
  EXPECT_EQ(GetConfig(0, 4), 0x10441af4u);
  EXPECT_EQ(GetConfig(8, 4), 0x00ff0001u);
  EXPECT_GE(GetConfig(pci::kConfigSubsystemId, 2), 0x40u);
  EXPECT_EQ(GetConfig(pci::kConfigInterruptPin, 1), 0u);
}

TEST_F(PciTransportTest, CapabilitiesLieInTheBarAndDoNotOverlap) {
  EXPECT_EQ(vectors_.size(), 3u) << "one for each queue and the configuration";
  std::map<uint32_t, uint32_t> structures;
  for (const uint8_t type :
       {kPciCapCommonCfg, kPciCapNotifyCfg, kPciCapIsrCfg, kPciCapDeviceCfg}) {
    const uint32_t at = FindCapability(type);
    ASSERT_NE(at, 0u) << int{type};
    EXPECT_EQ(GetConfig(at + offsetof(PciCap, bar), 1), 0u);
    structures[GetConfig(at + offsetof(PciCap, offset), 4)] =
        GetConfig(at + offsetof(PciCap, length), 4);
  }
  EXPECT_EQ(structures, (std::map<uint32_t, uint32_t>{
                            {0, 0x40}, {kIsr, 1}, {kDevice, 8}, {kNotify, 8}}));
  const uint32_t msix = FindCapability(0);
  EXPECT_EQ(GetConfig(msix + 2, 2), 2u) << "Table Size is N - 1";
  EXPECT_EQ(GetConfig(msix + 4, 4), kTable);
  EXPECT_EQ(GetConfig(msix + 8, 4), kPending);
}

TEST_F(PciTransportTest, DeviceWithoutConfigurationHasNoCapabilityForIt) {
  FakeDevice::Options options;
  options.config_size = 0;
  FakeDevice device(options);
  transport_ = *Create(device);
  EXPECT_EQ(FindCapability(kPciCapDeviceCfg), 0u);
  EXPECT_NE(FindCapability(kPciCapPciCfg), 0u);
  transport_.reset();  // Before its device.
}

TEST_F(PciTransportTest, CreateRefusesWhatDoesNotFit) {
  FakeDevice::Options options;
  options.config_size = 0x1001;
  FakeDevice large(options);
  EXPECT_TRUE(absl::IsInvalidArgument(Create(large).status()));
  options.config_size = 0;
  options.queue_sizes.assign(1025, 16);
  FakeDevice many(options);
  EXPECT_TRUE(absl::IsInvalidArgument(Create(many).status()));
}

TEST_F(PciTransportTest, CreateFailsWhereTheHostHasNoMoreVectors) {
  pci::FakeMsiVectorFactory two(2);
  EXPECT_TRUE(absl::IsResourceExhausted(
      PciTransport::Create(device_, {.memory = *memory_,
                                     .vectors = two,
                                     .bars = mapper_,
                                     .notifications = registrar_})
          .status()));
}

TEST_F(PciTransportTest, EveryConfigAccessIsSurvivedAndKeepsReadOnlyBits) {
  for (const uint32_t value : {0xffffffffu, 0u, 0xe0000004u, 0x80018001u}) {
    for (const size_t width : {1, 2, 4}) {
      for (uint32_t offset = 0; offset < 4096; offset += width) {
        SetConfig(offset, width, value);
        GetConfig(offset, width);
      }
    }
  }
  EXPECT_EQ(GetConfig(0, 4), 0x10441af4u);
  EXPECT_EQ(GetConfig(FindCapability(0) + 4, 4), kTable);
  EXPECT_EQ(GetConfig(FindCapability(kPciCapCommonCfg) + 12, 4), 0x40u);
  SetConfig(FindCapability(0) + 2, 2, 0);
  PlaceBar(kBar);
  ASSERT_NE(mapper_.device(), nullptr);
  Initialize();
  EXPECT_EQ(Status(), kLive);
}

// ---- The BAR ----

TEST_F(PciTransportTest, BarIsSizedAndPlacedByTheGuest) {
  SetConfig(pci::kConfigBar0, 4, 0xffffffff);
  SetConfig(pci::kConfigBar0 + 4, 4, 0xffffffff);
  EXPECT_EQ(GetConfig(pci::kConfigBar0, 4), 0xffff0004u);
  EXPECT_EQ(GetConfig(pci::kConfigBar0 + 4, 4), 0xffffffffu);
  EXPECT_EQ(mapper_.attempts(), 0) << "decoding is off";
  PlaceBar(kBar);
  EXPECT_EQ(mapper_.address(), kBar);
  SetConfig(pci::kConfigCommand, 2, 0);
  EXPECT_EQ(mapper_.device(), nullptr);
}

TEST_F(PciTransportTest, BarMayBePlacedBeforeTheGuestRuns) {
  transport_ = *Create(device_, memory::GuestAddress(kBar + 0x10000));
  EXPECT_EQ(mapper_.device(), nullptr);
  SetConfig(pci::kConfigCommand, 2, pci::kCommandMemorySpace);
  EXPECT_EQ(mapper_.address(), kBar + 0x10000);
}

TEST_F(PciTransportTest, NotificationBindingsFollowTheBar) {
  EXPECT_EQ(registrar_.size(), 0u);
  PlaceBar(kBar);
  EXPECT_EQ(registrar_.size(), 2u);
  Initialize();
  EXPECT_EQ(registrar_.Find(kBar + kNotify, 0, std::nullopt),
            device_.queue(0)->notification->fd());
  EXPECT_NE(registrar_.Find(kBar + kNotify + 4, 0, std::nullopt), -1);
  SetConfig(pci::kConfigBar0, 4, kBar + 0x20000);  // With decoding on.
  EXPECT_EQ(registrar_.size(), 2u);
  EXPECT_EQ(registrar_.Find(kBar + 0x20000 + kNotify, 0, std::nullopt),
            device_.queue(0)->notification->fd());
  SetConfig(pci::kConfigCommand, 2, 0);
  EXPECT_EQ(registrar_.size(), 0u);
  PlaceBar(kBar);
  transport_.reset();
  EXPECT_EQ(registrar_.size(), 0u);
  EXPECT_EQ(registrar_.bad_unbinds(), 0);
  EXPECT_EQ(mapper_.device(), nullptr);
}

// Bad input A.8: the BAR over RAM, over another device, at the end of 2^64.
TEST_F(PciTransportTest, BarInForbiddenPlaceAnswersNowhereUntilMoved) {
  for (const uint64_t address :
       {uint64_t{0x10000}, uint64_t{0xfee00000}, uint64_t{0xffffffff00000000},
        uint64_t{0xffffffffffff0000}, pci::FakeBarMapper::kEnd, uint64_t{0}}) {
    PlaceBar(address);
    EXPECT_EQ(mapper_.device(), nullptr) << address;
    EXPECT_EQ(registrar_.size(), 0u) << address;
  }
  PlaceBar(kBar);
  Initialize();
  EXPECT_EQ(Status(), kLive);
}

TEST_F(PciTransportTest, RefusedBindingFallsBackToTheRegister) {
  registrar_.set_refuse(true);
  PlaceBar(kBar);
  Initialize();
  Set(kNotify, 2, 0);
  EXPECT_TRUE(device_.queue(0)->notification->Drain());
}

// Bad input A.6: nothing but the width of the field reaches it.
TEST_F(PciTransportTest, CommonConfigTakesAccessesOfTheFieldsWidthOnly) {
  PlaceBar(kBar);
  const std::map<uint32_t, size_t> fields = Fields();
  for (const bool live : {false, true}) {
    if (live) Initialize();
    device_.TakeCalls();
    const std::map<uint32_t, uint32_t> before = Snapshot();
    for (uint32_t offset = 0; offset < 0x60; ++offset) {
      for (size_t width = 1; width <= 8; ++width) {
        const auto field = fields.find(offset);
        if (field != fields.end() && field->second == width) continue;
        for (const uint8_t byte : {0x00, 0x01, 0xff}) {
          bar().Write(offset, std::vector<uint8_t>(width, byte));
        }
        std::vector<uint8_t> data(width, 0x5a);
        bar().Read(offset, absl::MakeSpan(data));
        EXPECT_EQ(data, std::vector<uint8_t>(width, 0))
            << offset << " " << width;
      }
    }
    EXPECT_EQ(Snapshot(), before);
    EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  }
}

TEST_F(PciTransportTest, EveryFieldSurvivesEveryKindOfValueInEveryPhase) {
  PlaceBar(kBar);
  for (int phase = 0; phase < 3; ++phase) {
    for (const auto& [offset, width] : Fields()) {
      for (const uint32_t value :
           {0u, 1u, 2u, 3u, 0x7fu, 0xffu, 0x100u, 0x7ffu, 0x800u, 0xfffeu,
            0xffffu, 0x10000u, 0x80000000u, 0xffffffffu}) {
        SetStatus(0);
        if (phase >= 1) Negotiate();
        if (phase >= 2) Initialize();
        Set(offset, width, value);
        EXPECT_THAT(Status() & kLive, AnyOf(0, 1, 3, 11, 15));
        EXPECT_LE(Get(FIELD(queue_enable), 2), 1u);
        EXPECT_EQ(Get(FIELD(num_queues), 2), 2u);
        EXPECT_EQ(Get(FIELD(queue_reset), 2), 0u);
        EXPECT_EQ(Get(FIELD(queue_notif_config_data), 2), 0u);
        EXPECT_EQ(Get(FIELD(admin_queue_index), 2), 0u);
        EXPECT_EQ(Get(FIELD(admin_queue_num), 2), 0u);
      }
    }
  }
}

TEST_F(PciTransportTest, FieldsReadBackWhatWasWritten) {
  PlaceBar(kBar);
  Negotiate();
  for (const uint32_t value : {0u, 3u, 4u, 0xffffffffu}) {
    Set(FIELD(device_feature_select), 4, value);
    EXPECT_EQ(Get(FIELD(device_feature_select), 4), value);
    Set(FIELD(driver_feature_select), 4, value);
    EXPECT_EQ(Get(FIELD(driver_feature_select), 4), value);
  }
  Set(FIELD(driver_feature_select), 4, 1);
  EXPECT_EQ(Get(FIELD(driver_feature), 4), 1u);
  Set(FIELD(queue_select), 2, 1);
  EXPECT_EQ(Get(FIELD(queue_select), 2), 1u);
  EXPECT_EQ(Get(FIELD(queue_notify_off), 2), 1u);
  Set(FIELD(queue_size), 2, 32);
  EXPECT_EQ(Get(FIELD(queue_size), 2), 32u);
  for (uint32_t offset = FIELD(queue_desc);
       offset < FIELD(queue_notif_config_data); offset += 4) {
    Set(offset, 4, 0xabc00000 + offset);
  }
  for (uint32_t offset = FIELD(queue_desc);
       offset < FIELD(queue_notif_config_data); offset += 4) {
    EXPECT_EQ(Get(offset, 4), 0xabc00000 + offset);
  }
}

TEST_F(PciTransportTest, UnusableQueueSizeReadsBackAsUnavailable) {
  PlaceBar(kBar);
  Negotiate();
  Set(FIELD(queue_size), 2, 100);  // Not a power of 2, on a split queue.
  EXPECT_EQ(Get(FIELD(queue_size), 2), 0u);
}

TEST_F(PciTransportTest, QueueEnableZeroIsIgnored) {
  PlaceBar(kBar);
  Initialize();
  device_.TakeCalls();
  Set(FIELD(queue_enable), 2, 0);
  EXPECT_EQ(Get(FIELD(queue_enable), 2), 1u);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

// §2.6.1.1: "The device MUST reset any state of a virtqueue to the default
// state"; §4.1.5.1.2: of the vector that is NO_VECTOR.
TEST_F(PciTransportTest, QueueResetUnmapsTheVectorOfThatQueue) {
  PlaceBar(kBar);
  EnableMsix();
  Negotiate(1u << (kFeatureRingReset - 32));
  Set(FIELD(config_msix_vector), 2, 0);
  for (const uint32_t queue : {1u, 0u}) {
    Set(FIELD(queue_select), 2, queue);
    Set(FIELD(queue_msix_vector), 2, queue + 1);
    Set(FIELD(queue_enable), 2, 1);
  }
  Set(FIELD(device_status), 1, kLive);
  Set(FIELD(queue_reset), 2, 1);
  EXPECT_EQ(Get(FIELD(queue_reset), 2), 0u);
  EXPECT_EQ(Get(FIELD(queue_enable), 2), 0u);
  EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), kMsiNoVector);
  EXPECT_EQ(Get(FIELD(config_msix_vector), 2), 0u);
  Set(FIELD(queue_select), 2, 1);
  EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), 2u);
  device_.queue(1)->interrupt->Trigger();
  EXPECT_EQ(vectors_.vector(2).Take(), 1);

  // Enabled without a vector the queue interrupts nobody.
  Set(FIELD(queue_select), 2, 0);
  Set(FIELD(queue_enable), 2, 1);
  device_.queue(0)->interrupt->Trigger();
  EXPECT_EQ(vectors_.vector(1).Take(), 0);
}

// Bad input A.4: any address of the structure, any width, any value.
TEST_F(PciTransportTest, NotificationGoesByAddressNotByValue) {
  PlaceBar(kBar);
  Initialize();
  for (const size_t width : {1, 2, 4, 8}) {
    bar().Write(kNotify, std::vector<uint8_t>(width, 0xff));
    EXPECT_TRUE(device_.queue(0)->notification->Drain()) << width;
  }
  for (uint64_t offset = 1; offset < 0x1000; ++offset) {
    bar().Write(kNotify + offset, {0});
  }
  EXPECT_FALSE(device_.queue(0)->notification->Drain());
  EXPECT_EQ(Get(kNotify, 2), 0u);
}

TEST_F(PciTransportTest, AccessAcrossTheEndOfAStructureIsIgnored) {
  PlaceBar(kBar);
  Initialize();
  for (uint64_t start = 0x1000; start <= 0x8000; start += 0x1000) {
    for (uint64_t back = 1; back < 8; ++back) {
      std::vector<uint8_t> data(8, 0xff);
      bar().Write(start - back, data);
      bar().Read(start - back, absl::MakeSpan(data));
      EXPECT_EQ(data, std::vector<uint8_t>(8, 0)) << start << " " << back;
    }
  }
  EXPECT_EQ(Status(), kLive);
}

// ---- Interrupts ----

TEST_F(PciTransportTest, EventsGoToTheVectorsThatTheDriverMapped) {
  PlaceBar(kBar);
  EnableMsix();
  Initialize();
  Set(FIELD(config_msix_vector), 2, 2);
  Set(FIELD(queue_msix_vector), 2, 0);
  EXPECT_EQ(Get(FIELD(config_msix_vector), 2), 2u);
  EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), 0u);
  device_.queue(0)->interrupt->Trigger();
  EXPECT_EQ(vectors_.vector(0).Take(), 1);
  device_.ChangeConfig(0, 1);
  EXPECT_EQ(vectors_.vector(2).Take(), 1);
  EXPECT_EQ(vectors_.vector(0).Take() + vectors_.vector(1).Take(), 0);
}

// Bad input A.5.
TEST_F(PciTransportTest, VectorOutOfTableReadsBackAsNoVector) {
  PlaceBar(kBar);
  EnableMsix();
  Initialize();
  for (const uint32_t vector : {3u, 0x7ffu, 0x800u, 0xfffeu, 0xffffu}) {
    Set(FIELD(config_msix_vector), 2, 1);
    Set(FIELD(queue_msix_vector), 2, 1);
    Set(FIELD(config_msix_vector), 2, vector);
    Set(FIELD(queue_msix_vector), 2, vector);
    EXPECT_EQ(Get(FIELD(config_msix_vector), 2), kMsiNoVector);
    EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), kMsiNoVector);
    device_.queue(0)->interrupt->Trigger();
    device_.ChangeConfig(0, 1);
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(vectors_.vector(i).Take(), 0);
}

TEST_F(PciTransportTest, VectorOfQueueThatDoesNotExistIsNoVector) {
  PlaceBar(kBar);
  for (const uint32_t queue : {2u, 0xffffu}) {
    Set(FIELD(queue_select), 2, queue);
    Set(FIELD(queue_msix_vector), 2, 1);
    EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), kMsiNoVector);
    EXPECT_EQ(Get(FIELD(queue_notify_off), 2), 0u);
  }
}

TEST_F(PciTransportTest, ResetUnmapsAllVectors) {
  PlaceBar(kBar);
  EnableMsix();
  Initialize();
  Set(FIELD(config_msix_vector), 2, 0);
  Set(FIELD(queue_msix_vector), 2, 1);
  SetStatus(0);
  EXPECT_EQ(Get(FIELD(config_msix_vector), 2), kMsiNoVector);
  EXPECT_EQ(Get(FIELD(queue_msix_vector), 2), kMsiNoVector);
  // MSI-X itself is PCI's, not virtio's.
  EXPECT_EQ(GetConfig(FindCapability(0) + 2, 2), 0x8002u);
}

TEST_F(PciTransportTest, MaskedVectorIsDeliveredWhenUnmasked) {
  PlaceBar(kBar);
  EnableMsix();
  Initialize();
  Set(FIELD(queue_msix_vector), 2, 1);
  SetConfig(FindCapability(0) + 2, 2,
            pci::kMsixEnable | pci::kMsixFunctionMask);
  device_.queue(0)->interrupt->Trigger();
  EXPECT_EQ(vectors_.vector(1).Take(), 0);
  EXPECT_EQ(Get(kPending, 4), 0b10u);
  SetConfig(FindCapability(0) + 3, 1, pci::kMsixEnable >> 8);
  EXPECT_EQ(vectors_.vector(1).Take(), 1);
}

TEST_F(PciTransportTest, IsrStatusTellsOfEventsWhileMsixIsDisabled) {
  PlaceBar(kBar);
  Initialize();
  EXPECT_EQ(GetConfig(pci::kConfigStatus, 2), pci::kStatusCapabilitiesList);
  device_.queue(0)->interrupt->Trigger();
  device_.ChangeConfig(0, 1);
  EXPECT_EQ(GetConfig(pci::kConfigStatus, 2),
            pci::kStatusCapabilitiesList | pci::kStatusInterrupt);
  EXPECT_EQ(GetConfig(pci::kConfigCommand, 4) >> 16,
            uint32_t{pci::kStatusCapabilitiesList | pci::kStatusInterrupt});
  EXPECT_EQ(Get(kIsr, 4), 0u) << "only its own width reads it";
  EXPECT_EQ(Get(kIsr, 1), 3u);
  EXPECT_EQ(Get(kIsr, 1), 0u) << "reading clears it";
  EXPECT_EQ(GetConfig(pci::kConfigStatus, 2), pci::kStatusCapabilitiesList);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(vectors_.vector(i).lost(), 0);
}

TEST_F(PciTransportTest, IsrStatusHasNoQueueBitWhileMsixIsEnabled) {
  PlaceBar(kBar);
  EnableMsix();
  Initialize();
  device_.queue(0)->interrupt->Trigger();
  EXPECT_EQ(Get(kIsr, 1), 0u);
  device_.ChangeConfig(0, 1);
  EXPECT_EQ(GetConfig(pci::kConfigStatus, 2), pci::kStatusCapabilitiesList);
  EXPECT_EQ(Get(kIsr, 1), 2u);
}

// ---- VIRTIO_PCI_CAP_PCI_CFG, §4.1.4.9 ----

class PciWindowTest : public PciTransportTest {
 protected:
  void Open(uint32_t bar, uint32_t offset, uint32_t length) {
    SetConfig(cap_ + offsetof(PciCap, bar), 1, bar);
    SetConfig(cap_ + offsetof(PciCap, offset), 4, offset);
    SetConfig(cap_ + offsetof(PciCap, length), 4, length);
  }
  const uint32_t cap_ = FindCapability(kPciCapPciCfg);
  const uint32_t data_ = cap_ + offsetof(PciCfgCap, pci_cfg_data);
};

TEST_F(PciWindowTest, ReachesTheStructuresWithoutTheBar) {
  EXPECT_EQ(mapper_.device(), nullptr);
  Open(0, FIELD(device_status), 1);
  SetConfig(data_, 1, kStatusAcknowledge);
  EXPECT_EQ(GetConfig(data_, 1), uint32_t{kStatusAcknowledge});
  Open(0, FIELD(num_queues), 2);
  EXPECT_EQ(GetConfig(data_, 2), 2u);
  Open(0, FIELD(device_feature_select), 4);
  SetConfig(data_, 4, 3);
  Open(0, FIELD(device_feature), 4);
  EXPECT_EQ(GetConfig(data_, 4), 0x80000000u);
  Open(0, kDevice + 4, 4);
  EXPECT_EQ(GetConfig(data_, 4), 0xa7a6a5a4u);
  Open(0, FIELD(device_status), 1);
  SetConfig(data_, 4, 0xffffff00);  // The first byte is what counts.
  EXPECT_EQ(GetConfig(data_, 1), 0u);
}

TEST_F(PciWindowTest, ImproperWindowReadsWhatWasStoredAndReachesNothing) {
  PlaceBar(kBar);
  Initialize();
  device_.TakeCalls();
  constexpr uint32_t kStatusField = FIELD(device_status);
  const struct {
    uint32_t bar, offset, length;
  } kImproper[] = {
      {1, kStatusField, 1},     {5, kStatusField, 1},
      {255, kStatusField, 1},   {0, kStatusField, 0},
      {0, kStatusField, 3},     {0, kStatusField, 8},
      {0, kStatusField - 1, 2}, {0, 0xffffffff, 1},
      {0, 0xfffffffc, 4},       {0, kPending, 4},
      {0, kTable, 4},           {0, kTable + 12, 4},
      {0, 0x10000, 4},          {0, kStatusField, 0xffffffff},
  };
  for (const auto& window : kImproper) {
    Open(window.bar, window.offset, window.length);
    SetConfig(data_, 4, 0);
    EXPECT_EQ(GetConfig(data_, 4), 0u);
    SetConfig(data_, 4, 0x12345678);
    EXPECT_EQ(GetConfig(data_, 4), 0x12345678u);
  }
  EXPECT_EQ(Status(), kLive);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(PciWindowTest, NotifiesThroughTheWindow) {
  PlaceBar(kBar);
  Initialize();
  Open(0, kNotify, 2);
  SetConfig(data_, 2, 0);
  EXPECT_TRUE(device_.queue(0)->notification->Drain());
  GetConfig(data_, 2);
  EXPECT_FALSE(device_.queue(0)->notification->Drain());
}

// ---- Threads; under ThreadSanitizer, which judges ----

TEST_F(PciWindowTest, ConfigSpaceAndBarMayBeUsedFromSeveralThreads) {
  PlaceBar(kBar);
  BusDevice* const bar = mapper_.device();  // Also while it is not mapped.
  const auto write = [bar](uint64_t offset, std::vector<uint8_t> data) {
    bar->Write(offset, data);
  };
  const auto vcpu = [&] {
    for (uint32_t i = 0; i < 200; ++i) {
      PlaceBar(kBar + 0x10000 * (i % 4));
      SetConfig(FindCapability(0) + 2, 2, i % 2 == 0 ? pci::kMsixEnable : 0);
      Open(0, FIELD(device_status), 1);
      SetConfig(data_, 1, i % 16);
      GetConfig(data_, 4);
      write(kTable + 12, {0, 0, 0, 0});
      write(FIELD(queue_msix_vector), {0, 0});
      write(FIELD(config_msix_vector), {static_cast<uint8_t>(i), 0});
      for (const uint8_t status : {0, 1, 3, 11, 15}) {
        write(FIELD(driver_feature_select), {1, 0, 0, 0});
        write(FIELD(driver_feature), {1, 0, 0, 0});
        write(FIELD(queue_enable), {1, 0});
        write(FIELD(device_status), {status});
      }
    }
  };
  std::thread first(vcpu);
  std::thread second(vcpu);
  std::thread worker([this] {
    for (int i = 0; i < 2000; ++i) {
      device_.Break();
      device_.ChangeConfig(0, static_cast<uint8_t>(i));
      const auto queue = device_.queue(0);
      if (queue.has_value()) queue->interrupt->Trigger();
    }
  });
  first.join();
  second.join();
  worker.join();
  PlaceBar(kBar);
  Initialize();
  EXPECT_EQ(Status(), kLive);
  EXPECT_EQ(registrar_.size(), 2u);
  EXPECT_EQ(registrar_.bad_unbinds(), 0);
  EXPECT_EQ(mapper_.bad_unmaps(), 0);
}

TEST_F(PciTransportTest, DestructionResetsTheDevice) {
  PlaceBar(kBar);
  Initialize();
  device_.TakeCalls();
  transport_.reset();
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("Reset"));
}

}  // namespace
}  // namespace annulus::virtio
