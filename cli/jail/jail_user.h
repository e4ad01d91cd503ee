#ifndef CLI_JAIL_JAIL_USER_H_
#define CLI_JAIL_JAIL_USER_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {

// Of nearly all systems; and whom the kernel shows in place of a user that a
// namespace does not know.
inline constexpr uid_t kNobody = 65534;

// Whose process it is. Its user namespace knows users under the numbers that
// they have outside: all of them, or without root's power to say so this one;
// and this group alone.
struct JailUser {
  uid_t user = 0;
  gid_t group = 0;
  // By a process outside, which is root; else by whoever made the namespace,
  // for nobody but himself.
  bool mapped_by_parent = false;
};

// PermissionDenied: only root can make a process another user's.
absl::StatusOr<JailUser> ChooseJailUser(const JailOptions& options);

// Makes them known in the user namespace of `pid`.
absl::Status MapUser(pid_t pid, const JailUser& user);

// For the process in the namespace. Its capabilities there stay.
absl::Status BecomeUser(const JailUser& user);

// All of them, for ever; no program that is started gets any.
absl::Status DropCapabilities();

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_USER_H_
