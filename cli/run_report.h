#ifndef CLI_RUN_REPORT_H_
#define CLI_RUN_REPORT_H_

#include <string>

#include "vmm/vmm.h"

namespace annulus::cli {

// `stopped_by` below is the signal that led to a stop, or 0.

// "guest poweroff", "stopped by SIGTERM", "emulation failure: ...".
std::string ExitLine(const VmExit& exit, int stopped_by);

// The exit code of the process; see exit_codes.h.
int ExitCodeOf(const VmExit& exit, int stopped_by);

// "timings: cpu_at_start_ms=1.234 created_ms=1.234 first_entry_ms=1.234
// first_exit_ms=1.234 cpu_at_first_exit_ms=1.234 first_exit_unix_us=1234", on
// one line. cpu_...: the processor time that the process had used when Start()
// returned and when vCPU 0 first left the guest; ..._unix_us: the time of day,
// where CLOCK_MONOTONIC is `unix_offset_ns` behind it; the others: wall time
// since Create() was called, 0 for what has not happened.
std::string TimingsLine(const VmTimings& timings, double cpu_at_start_ms,
                        int64_t unix_offset_ns);

// How far CLOCK_MONOTONIC is behind CLOCK_REALTIME, nanoseconds.
int64_t UnixOffsetNanoseconds();

// Processor time that this process has used, user and system.
double ProcessCpuMilliseconds();

}  // namespace annulus::cli

#endif  // CLI_RUN_REPORT_H_
