// The platform's devices and interrupt controllers, seen from inside a guest.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::HasSubstr;

class SmpTest : public testing::TestWithParam<uint32_t> {};

TEST_P(SmpTest, EveryProcessorStartsOnce) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("smp");
  config.cpu.count = GetParam();
  absl::StrAppend(&config.boot.cmdline, " cpus=", GetParam());
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  for (uint32_t id = 0; id < GetParam(); ++id) {
    const std::string line = absl::StrCat("processor ", id, " runs\n");
    const size_t first = result.output.find(line);
    EXPECT_NE(first, std::string::npos) << id;
    EXPECT_EQ(result.output.find(line, first + 1), std::string::npos) << id;
  }
}

INSTANTIATE_TEST_SUITE_P(Cpus, SmpTest, testing::Values(1, 2, 4, 32));

TEST(PlatformTest, LocalApicInterruptsItsProcessor) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("self_ipi"));
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("interrupts 3\n"));
}

TEST(PlatformTest, SerialPortInterruptsThroughTheIoApic) {
  SKIP_WITHOUT_KVM();
  const GuestResult result = RunGuest(MicroguestConfig("serial_interrupt"));
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("interrupts 2\n"));
}

TEST(PlatformTest, InputReachesTheGuestLineByLine) {
  SKIP_WITHOUT_KVM();
  auto guest = GuestVm::Create(MicroguestConfig("serial_echo"));
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_TRUE((*guest)->vmm().Start().ok());
  ASSERT_TRUE((*guest)->AwaitOutput("ready\n"));
  (*guest)->Type("hello\n");
  EXPECT_TRUE((*guest)->AwaitOutput("echo: hello\n"));
  // More than the receiver FIFO holds.
  const std::string long_line(100, 'x');
  (*guest)->Type(long_line + "\n");
  EXPECT_TRUE((*guest)->AwaitOutput("echo: " + long_line + "\n"));
  (*guest)->Type("quit\n");
  EXPECT_TRUE((*guest)->AwaitOutput("echo: quit\nPASS\n"));
  EXPECT_EQ((*guest)->Finish().reason, ExitReason::kGuestPoweroff);
}

TEST(PlatformTest, ClockTellsTheHostsDate) {
  SKIP_WITHOUT_KVM();
  const auto today = [] {
    const time_t now = ::time(nullptr);
    tm utc;
    ::gmtime_r(&now, &utc);
    return absl::StrCat("year ", utc.tm_year + 1900, " month ", utc.tm_mon + 1,
                        " day ", utc.tm_mday, "\n");
  };
  const std::string before = today();
  const GuestResult result = RunGuest(MicroguestConfig("clock"));
  ExpectPass(result);
  // It may be midnight meanwhile.
  EXPECT_THAT(result.output,
              testing::AnyOf(HasSubstr(before), HasSubstr(today())));
}

class MemoryTest : public testing::TestWithParam<uint64_t> {};

TEST_P(MemoryTest, GuestUsesBothEndsOfAllItsRam) {
  SKIP_WITHOUT_KVM();
  VmConfig config = MicroguestConfig("memory");
  config.memory.size_bytes = GetParam() << 20;
  absl::StrAppend(&config.boot.cmdline, " size=", config.memory.size_bytes);
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  const bool above_the_hole =
      result.output.find("RAM 0x100000000 ") != std::string::npos;
  EXPECT_EQ(above_the_hole, GetParam() > 3072) << result.output;
}

// MiB: small, up to the hole, just beyond it, and well above.
INSTANTIATE_TEST_SUITE_P(Sizes, MemoryTest,
                         testing::Values(64, 3072, 3073, 5120));

TEST(PlatformTest, PortAccessesOfEveryWidthAreSurvived) {
  SKIP_WITHOUT_KVM();
  ExpectPass(RunGuest(MicroguestConfig("port_widths")));
}

}  // namespace
}  // namespace annulus
