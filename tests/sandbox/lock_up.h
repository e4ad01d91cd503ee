#ifndef TESTS_SANDBOX_LOCK_UP_H_
#define TESTS_SANDBOX_LOCK_UP_H_

#include "absl/status/status.h"

namespace annulus {

// Leaves the current process with its descriptors and little else: an empty
// network namespace and an empty, read-only root, the user nobody without any
// capability, no_new_privs, and Landlock that lets nothing be opened. What
// seccomp adds is strict_list.h. It shares no code with vmm/sandbox and
// cli/jail on purpose: this is the sandbox of somebody who has neither.
// REQUIRES: it has one thread, and is root.
// Errors: the step that the host refused, and why.
absl::Status LockUp();

}  // namespace annulus

#endif  // TESTS_SANDBOX_LOCK_UP_H_
