#ifndef CLI_JAIL_JAIL_LIMITS_H_
#define CLI_JAIL_JAIL_LIMITS_H_

#include "absl/status/status.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {

// The limits of setrlimit(2), soft and hard. There are no core files: they
// would have the guest's memory in them.
absl::Status SetLimits(const JailOptions& options);

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_LIMITS_H_
