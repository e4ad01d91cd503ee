#ifndef CLI_JAIL_JAIL_ROOT_H_
#define CLI_JAIL_JAIL_ROOT_H_

#include "absl/status/status.h"

namespace annulus::cli {

// An empty read-only directory is the root from now on. REQUIRES: the mount
// namespace is the process's own, and it may mount there.
absl::Status EnterEmptyRoot();

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_ROOT_H_
