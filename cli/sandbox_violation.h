#ifndef CLI_SANDBOX_VIOLATION_H_
#define CLI_SANDBOX_VIOLATION_H_

#include "absl/status/status.h"

namespace annulus::cli {

// Installs a handler of SIGSYS, by which a thread in a sandbox hears that it
// made a system call that its list has not: one line on standard error says
// which thread and which call, and what a user can do. Then the process dies of
// SIGSYS all the same, as its parent sees.
absl::Status HandleSandboxViolations();

}  // namespace annulus::cli

#endif  // CLI_SANDBOX_VIOLATION_H_
