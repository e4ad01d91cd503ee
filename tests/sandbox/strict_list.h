#ifndef TESTS_SANDBOX_STRICT_LIST_H_
#define TESTS_SANDBOX_STRICT_LIST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace annulus {

// Which values of an argument of a system call a rule is about.
struct StrictArgument {
  unsigned int index = 0;
  uint64_t mask = 0;
  uint64_t value = 0;
};

// One line of the list of system calls that docs/sandbox.md publishes:
//
//   read                     # May be called.
//   ioctl 1 = 0xae80         # May be called if argument 1 is that.
//   mmap 2 & 0x4 = 0         # Likewise, of the argument's bits under the mask.
//   socket EACCES            # Fails like that, and harms nobody.
//   sched_yield ?            # Any of these: only some runs have need of it.
//
// What no line lets pass kills the process.
struct StrictRule {
  std::string line;  // For messages, without its comment.
  std::string name;  // Of the system call.
  std::optional<StrictArgument> argument = {};
  int error = 0;  // 0: it may be called.
  bool sometimes = false;
};

// The rules of the block that begins with "```seccomp" in the section "In your
// own sandbox" of `document`. InvalidArgument: there is none, or what no rule
// is, with its line.
absl::StatusOr<std::vector<StrictRule>> ParseStrictList(
    absl::string_view document);

// From now on, for all threads of the process. REQUIRES: no_new_privs is set.
absl::Status InstallStrictList(absl::Span<const StrictRule> rules);

}  // namespace annulus

#endif  // TESTS_SANDBOX_STRICT_LIST_H_
