#ifndef CLI_JAIL_ENTER_JAIL_H_
#define CLI_JAIL_ENTER_JAIL_H_

#include <optional>

#include "absl/status/statusor.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {

// Goes on in a new process that has no more than its descriptors: namespaces of
// its own of users, mounts, processes, network, IPC, host name and cgroups, an
// empty read-only root, limits, and the user that `options` says, without any
// capability. In that process the result is empty. In this one it comes when
// the other has ended, and is the exit code to return: that of the other, or
// 128 and its signal. Until then SIGINT, SIGTERM and SIGHUP are passed on, the
// second of them as SIGKILL.
//
// REQUIRES: the process has one thread. SIGINT, SIGTERM and SIGHUP are blocked
//   afterwards, in both processes.
// Errors: the step, the object and the reason, and what could help; nothing is
//   left behind.
absl::StatusOr<std::optional<int>> EnterJail(const JailOptions& options);

}  // namespace annulus::cli

#endif  // CLI_JAIL_ENTER_JAIL_H_
