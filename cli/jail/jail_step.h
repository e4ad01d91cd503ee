#ifndef CLI_JAIL_JAIL_STEP_H_
#define CLI_JAIL_JAIL_STEP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace annulus::cli {

// The outcome of a system call on the way into a jail: an error, by errno, if
// `result` is negative, which names the step.
absl::Status CheckStep(long result, absl::string_view step);

// Writes to a file of the kernel, in one call. Errors name value and file.
absl::Status WriteKernelFile(const std::string& path, const std::string& value);

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_STEP_H_
