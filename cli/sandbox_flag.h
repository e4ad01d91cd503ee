#ifndef CLI_SANDBOX_FLAG_H_
#define CLI_SANDBOX_FLAG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/flag_set.h"
#include "vmm/sandbox/sandbox_mode.h"

namespace annulus::cli {

// What holds where --sandbox is not given. The runtimes of sanitizers make
// system calls of their own at any time, so builds with them go without.
extern const SandboxMode kDefaultSandboxMode;

struct SandboxFlag {
  SandboxMode mode = kDefaultSandboxMode;
  // Of kLog and kTrace: a file that the report goes to, behind what it has;
  // empty: standard error.
  std::string report;
};

// "off", "on", "log" or "log:FILE"; and "trace", as "log", which is for those
// who keep the lists.
absl::StatusOr<SandboxFlag> ParseSandbox(absl::string_view value);

// --sandbox, of all commands that serve guests.
void AddSandboxFlag(SandboxFlag& target, FlagSet& flags);

}  // namespace annulus::cli

#endif  // CLI_SANDBOX_FLAG_H_
