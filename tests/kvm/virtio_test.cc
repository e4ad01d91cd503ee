// An entropy device over both transports, driven by a guest that shares no code
// with the device: by the rules, and against them.

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::Not;
using testing::Values;

void AddRng(VmConfig& config, TransportKind transport) {
  RngConfig rng;
  rng.virtio.transport = transport;
  config.rng.push_back(rng);
}

class RngTest
    : public testing::TestWithParam<
          std::tuple<TransportKind, const char*, const char*, bool, bool>> {
 protected:
  TransportKind transport() const { return std::get<0>(GetParam()); }
  bool waits_for_interrupts() const {
    return absl::string_view(std::get<2>(GetParam())) == "interrupt";
  }
  std::string Options() const {
    return absl::StrCat(" ring=", std::get<1>(GetParam()),
                        " wait=", std::get<2>(GetParam()),
                        " event_idx=", int{std::get<3>(GetParam())},
                        " indirect=", int{std::get<4>(GetParam())});
  }
};

TEST_P(RngTest, GuestTakesRandomBytes) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, transport());
  config.boot.cmdline += DeviceOptions(transport(), 0) + Options();
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  // Each of the ten buffers has an interrupt, if the guest waits for it.
  if (waits_for_interrupts()) {
    EXPECT_THAT(result.output, HasSubstr("interrupts 10\n"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RngTest,
    Combine(Values(TransportKind::kMmio, TransportKind::kPci),
            Values("packed", "split"), Values("poll", "interrupt"),
            testing::Bool(), testing::Bool()));

class TransportTest : public testing::TestWithParam<TransportKind> {};

INSTANTIATE_TEST_SUITE_P(All, TransportTest,
                         Values(TransportKind::kMmio, TransportKind::kPci));

TEST_P(TransportTest, DisabledNotificationsOfThePackedRingStayAway) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, GetParam());
  config.boot.cmdline +=
      DeviceOptions(GetParam(), 0) + " ring=packed wait=poll";
  EXPECT_THAT(RunGuest(config).output, HasSubstr("interrupts 0\n"));
}

TEST_P(TransportTest, FeaturesThatAreSwitchedOffAreNotOffered) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, GetParam());
  config.rng[0].virtio.packed = false;
  config.rng[0].virtio.event_idx = false;
  config.rng[0].virtio.indirect_desc = false;
  config.rng[0].virtio.in_order = false;
  // The guest wants them all, and takes what is offered.
  config.boot.cmdline +=
      DeviceOptions(GetParam(), 0) + " ring=packed in_order=1";
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("features 0x100000000,"));
}

TEST_P(TransportTest, BuffersAreUsedInOrder) {
  SKIP_WITHOUT_KVM();
  for (const char* ring : {"packed", "split"}) {
    for (const char* indirect : {"0", "1"}) {
      VmConfig config = MicroguestConfig("rng");
      AddRng(config, GetParam());
      absl::StrAppend(&config.boot.cmdline, DeviceOptions(GetParam(), 0),
                      " in_order=1 event_idx=0 rounds=50 ring=", ring,
                      " indirect=", indirect);
      const GuestResult result = RunGuest(config);
      ExpectPass(result);
      // VIRTIO_F_IN_ORDER is bit 35; VERSION_1 is bit 32, RING_PACKED bit 34.
      EXPECT_THAT(result.output, testing::AnyOf(HasSubstr("features 0x9"),
                                                HasSubstr("features 0xd")));
    }
  }
}

TEST_P(TransportTest, NotificationsMayCarryData) {
  SKIP_WITHOUT_KVM();
  for (const char* ring : {"packed", "split"}) {
    for (const char* event_idx : {"0", "1"}) {
      VmConfig config = MicroguestConfig("rng");
      AddRng(config, GetParam());
      absl::StrAppend(&config.boot.cmdline, DeviceOptions(GetParam(), 0),
                      " data=1 rounds=50 ring=", ring,
                      " event_idx=", event_idx);
      const GuestResult result = RunGuest(config);
      ExpectPass(result);
      // VIRTIO_F_NOTIFICATION_DATA is bit 38.
      EXPECT_THAT(result.output, HasSubstr("features 0x4"));
    }
  }
}

TEST_P(TransportTest, QueueIsResetAndUsedAgain) {
  SKIP_WITHOUT_KVM();
  for (const char* ring : {"packed", "split"}) {
    for (const char* wait : {"poll", "interrupt"}) {
      VmConfig config = MicroguestConfig("rng");
      AddRng(config, GetParam());
      absl::StrAppend(&config.boot.cmdline, DeviceOptions(GetParam(), 0),
                      " rounds=21 reset=3 ring=", ring, " wait=", wait);
      const GuestResult result = RunGuest(config);
      ExpectPass(result);
      // VIRTIO_F_RING_RESET is bit 40.
      EXPECT_THAT(result.output, HasSubstr("features 0x10"));
    }
  }
}

TEST_P(TransportTest, FeaturesOfTheTransportMayBeSwitchedOff) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, GetParam());
  config.rng[0].virtio.ring_reset = false;
  config.rng[0].virtio.notification_data = false;
  config.boot.cmdline += DeviceOptions(GetParam(), 0) +
                         " data=1 reset=1 ring=split event_idx=0 indirect=0";
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("features 0x100000000,"));
}

TEST_P(TransportTest, SecondDeviceIsInItsPlace) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, TransportKind::kMmio);
  AddRng(config, TransportKind::kPci);
  AddRng(config, GetParam());
  config.boot.cmdline += DeviceOptions(GetParam(), 1) + " ring=packed";
  ExpectPass(RunGuest(config));
}

TEST_P(TransportTest, EveryRingWrapsManyTimes) {
  SKIP_WITHOUT_KVM();
  for (const char* ring : {"packed", "split"}) {
    VmConfig config = MicroguestConfig("rng");
    AddRng(config, GetParam());
    absl::StrAppend(&config.boot.cmdline, DeviceOptions(GetParam(), 0),
                    " rounds=500 ring=", ring);
    ExpectPass(RunGuest(config));
  }
}

TEST(PciTest, BarMovesBelowAndAboveFourGigabytes) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("move_bar");
  AddRng(config, TransportKind::kPci);
  config.boot.cmdline += " pci=1 ring=packed";
  ExpectPass(RunGuest(config));
}

TEST_P(TransportTest, DeviceSurvivesAHostileDriver) {
  SKIP_WITHOUT_KVM();
  for (const char* ring : {"packed", "split"}) {
    VmConfig config = MicroguestConfig("hostile");
    AddRng(config, GetParam());
    absl::StrAppend(&config.boot.cmdline, DeviceOptions(GetParam(), 0),
                    " ring=", ring);
    ExpectPass(RunGuest(config));
  }
}

TEST_P(TransportTest, HostileDriverDoesNotDisturbAnotherVm) {
  SKIP_WITHOUT_KVM();
  VmConfig hostile_config = MicroguestConfig("hostile");
  AddRng(hostile_config, GetParam());
  hostile_config.boot.cmdline += DeviceOptions(GetParam(), 0);
  auto hostile = GuestVm::Create(hostile_config);
  ASSERT_TRUE(hostile.ok()) << hostile.status();
  ASSERT_TRUE((*hostile)->vmm().Start().ok());

  VmConfig config = MicroguestConfig("rng");
  AddRng(config, GetParam());
  config.boot.cmdline += DeviceOptions(GetParam(), 0) + " rounds=100";
  ExpectPass(RunGuest(config));
  EXPECT_EQ((*hostile)->Finish().reason, ExitReason::kGuestPoweroff);
  EXPECT_THAT((*hostile)->Output(), Not(HasSubstr("FAIL")));
}

TEST_P(TransportTest, StopWhileTheDeviceWorksEndsTheVm) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("rng");
  AddRng(config, GetParam());
  config.boot.cmdline += DeviceOptions(GetParam(), 0) + " rounds=1000000000";
  auto guest = GuestVm::Create(config);
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput("microguest"));
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE((*guest)->vmm().Pause().ok());
    ASSERT_TRUE((*guest)->vmm().Resume().ok());
  }
  (*guest)->vmm().Stop();
  EXPECT_EQ((*guest)->Finish().reason, ExitReason::kStopRequested);
}

}  // namespace
}  // namespace annulus
