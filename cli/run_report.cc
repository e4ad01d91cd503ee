#include "cli/run_report.h"

#include <signal.h>
#include <string.h>

#include <cstdint>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "cli/exit_codes.h"

namespace annulus::cli {

std::string ExitLine(const VmExit& exit, int stopped_by) {
  std::string line;
  if (exit.reason == ExitReason::kStopRequested && stopped_by != 0) {
    const char* name = ::sigabbrev_np(stopped_by);
    line = absl::StrCat("stopped by SIG", name == nullptr ? "?" : name);
  } else {
    line = std::string(ExitReasonName(exit.reason));
  }
  if (!exit.detail.empty()) absl::StrAppend(&line, ": ", exit.detail);
  return line;
}

int ExitCodeOf(const VmExit& exit, int stopped_by) {
  switch (exit.reason) {
    case ExitReason::kGuestPoweroff:
      return static_cast<int>(ExitCode::kSuccess);
    case ExitReason::kGuestReset:
      return static_cast<int>(ExitCode::kGuestReset);
    case ExitReason::kTripleFault:
      return static_cast<int>(ExitCode::kTripleFault);
    case ExitReason::kEmulationFailure:
      return static_cast<int>(ExitCode::kEmulationFailure);
    case ExitReason::kStopRequested:
      // Nobody else calls Vmm::Stop().
      return stopped_by != 0 ? kStoppedBySignal + stopped_by
                             : static_cast<int>(ExitCode::kStoppedByControl);
    case ExitReason::kDebugExit:
      return kDebugExit + static_cast<int>(exit.code & 0x3f);
    case ExitReason::kHostError:
      return static_cast<int>(ExitCode::kHostError);
  }
  return static_cast<int>(ExitCode::kHostError);
}

std::string TimingsLine(const VmTimings& timings, double cpu_at_start_ms,
                        int64_t unix_offset_ns) {
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  return absl::StrFormat(
      "timings: cpu_at_start_ms=%.3f created_ms=%.3f first_entry_ms=%.3f "
      "first_exit_ms=%.3f cpu_at_first_exit_ms=%.3f first_exit_unix_us=%d",
      cpu_at_start_ms, ms(timings.created_ns), ms(timings.first_entry_ns),
      ms(timings.first_exit_ns), ms(timings.first_exit_process_cpu_ns),
      timings.first_exit_ns == 0
          ? 0
          : (unix_offset_ns + timings.origin_ns + timings.first_exit_ns) /
                1000);
}

int64_t UnixOffsetNanoseconds() {
  return UnixNanoseconds() - MonotonicNanoseconds();
}

double ProcessCpuMilliseconds() {
  timespec used;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e3 +
         static_cast<double>(used.tv_nsec) / 1e6;
}

}  // namespace annulus::cli
