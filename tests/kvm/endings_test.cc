// How a guest can end, and what the embedder is told.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EndingsTest, PvhGuestPrintsAndPowersOff) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("hello");
  config.boot.cmdline += " some=thing else";
  const GuestResult result = RunGuest(config);
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestPoweroff)
      << result.exit.detail;
  EXPECT_EQ(result.output,
            "microguest, PVH\n"
            "hello, command line: program=hello some=thing else\n"
            "PASS\n");
}

TEST(EndingsTest, Linux64GuestPrintsAndPowersOff) {
  SKIP_WITHOUT_KVM();
  const GuestResult result =
      RunGuest(MicroguestConfig("hello"), kMicroguestLinux64);
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestPoweroff)
      << result.exit.detail;
  EXPECT_EQ(result.output,
            "microguest, Linux64\n"
            "hello, command line: program=hello\n"
            "PASS\n");
}

TEST(EndingsTest, GuestWithoutConsoleRuns) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("hello");
  config.console.kind = ConsoleConfig::Kind::kNull;
  EXPECT_EQ(RunGuest(config).exit.reason, ExitReason::kGuestPoweroff);
}

TEST(EndingsTest, KeyboardControllerResets) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("reset_i8042"));
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestReset);
  EXPECT_THAT(result.output, HasSubstr("reset by i8042\n"));
}

TEST(EndingsTest, AcpiResetRegisterResets) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("reset_acpi"));
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestReset);
  EXPECT_THAT(result.output, HasSubstr("reset by ACPI\n"));
}

TEST(EndingsTest, TripleFaultIsToldApart) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("triple_fault"));
  EXPECT_EQ(result.exit.reason, ExitReason::kTripleFault) << result.exit.detail;
  EXPECT_THAT(result.exit.detail, HasSubstr("vCPU 0"));
  EXPECT_THAT(result.output, HasSubstr("triple fault\n"));
}

TEST(EndingsTest, EmulationFailureNamesTheInstruction) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("emulation_failure"));
  if (result.exit.reason == ExitReason::kGuestPoweroff) {
    EXPECT_THAT(result.output, HasSubstr("popcnt was executed\nPASS\n"));
    GTEST_SKIP() << "this KVM executes popcnt, so it has nothing to fail on";
  }
  EXPECT_EQ(result.exit.reason, ExitReason::kEmulationFailure)
      << result.exit.detail;
  EXPECT_THAT(result.exit.detail, HasSubstr("f3 48 0f b8 c1"));
  EXPECT_THAT(result.output, Not(HasSubstr("PASS")));
}

TEST(EndingsTest, DebugExitGivesItsValueWithTheFirstInstruction) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("");
  config.debug_exit = true;
  const GuestResult result = RunGuest(config, kBootTimer);
  EXPECT_EQ(result.exit.reason, ExitReason::kDebugExit) << result.exit.detail;
}

TEST(EndingsTest, WithoutTheDebugExitPortTheBootTimerPowersOff) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig(""), kBootTimer);
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestPoweroff)
      << result.exit.detail;
}

}  // namespace
}  // namespace annulus
