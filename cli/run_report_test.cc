#include "cli/run_report.h"

#include <signal.h>

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/exit_codes.h"
#include "gtest/gtest.h"
#include "vmm/vmm.h"

namespace annulus::cli {
namespace {

VmExit Exit(ExitReason reason) {
  VmExit exit;
  exit.reason = reason;
  return exit;
}

TEST(RunReportTest, EachReasonHasItsOwnCodeAndIsInTheHelp) {
  std::set<int> codes;
  for (const ExitReason reason :
       {ExitReason::kGuestPoweroff, ExitReason::kHostError,
        ExitReason::kGuestReset, ExitReason::kTripleFault,
        ExitReason::kEmulationFailure, ExitReason::kStopRequested,
        ExitReason::kDebugExit}) {
    const int code = ExitCodeOf(Exit(reason), 0);
    EXPECT_TRUE(codes.insert(code).second) << code;
    EXPECT_TRUE(absl::StrContains(kExitCodesHelp, absl::StrCat("\n  ", code)))
        << code;
  }
  EXPECT_EQ(ExitCodeOf(Exit(ExitReason::kGuestPoweroff), 0), 0);
}

TEST(RunReportTest, StopBySignalShowsTheSignal) {
  const VmExit exit = Exit(ExitReason::kStopRequested);
  EXPECT_EQ(ExitCodeOf(exit, SIGTERM), 143);
  EXPECT_EQ(ExitLine(exit, SIGTERM), "stopped by SIGTERM");
  EXPECT_EQ(ExitLine(exit, 0), "stop requested");
}

TEST(RunReportTest, OtherReasonWinsOverASignalThatCameLate) {
  const VmExit exit = Exit(ExitReason::kGuestPoweroff);
  EXPECT_EQ(ExitCodeOf(exit, SIGTERM), 0);
  EXPECT_EQ(ExitLine(exit, SIGTERM), "guest poweroff");
}

TEST(RunReportTest, DetailFollowsTheReason) {
  VmExit exit = Exit(ExitReason::kEmulationFailure);
  exit.detail = "vCPU 0: 0f c7";
  EXPECT_EQ(ExitLine(exit, 0), "emulation failure: vCPU 0: 0f c7");
}

TEST(RunReportTest, DebugExitCodeIsBounded) {
  VmExit exit = Exit(ExitReason::kDebugExit);
  exit.code = 0xffffffff;
  EXPECT_EQ(ExitCodeOf(exit, 0), 127);
  exit.code = 3;
  EXPECT_EQ(ExitCodeOf(exit, 0), 67);
}

TEST(RunReportTest, TimingsAreMillisecondsAndATimeOfDay) {
  VmTimings timings;
  timings.created_ns = 1'500'000;
  EXPECT_EQ(TimingsLine(timings, 0.25, 7'000'000),
            "timings: cpu_at_start_ms=0.250 created_ms=1.500 "
            "first_entry_ms=0.000 first_exit_ms=0.000 "
            "cpu_at_first_exit_ms=0.000 first_exit_unix_us=0");
  timings.origin_ns = 20'000;
  timings.first_exit_ns = 3'000;
  EXPECT_EQ(TimingsLine(timings, 0.25, 7'000'000),
            "timings: cpu_at_start_ms=0.250 created_ms=1.500 "
            "first_entry_ms=0.000 first_exit_ms=0.003 "
            "cpu_at_first_exit_ms=0.000 first_exit_unix_us=7023");
}

}  // namespace
}  // namespace annulus::cli
