#ifndef VMM_SANDBOX_FILTER_COMPILER_H_
#define VMM_SANDBOX_FILTER_COMPILER_H_

#include <linux/filter.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "vmm/sandbox/syscall_rule.h"

namespace annulus {

// Makes a list into the program of a seccomp filter, by libseccomp: what is in
// `rules` passes, the rest is SECCOMP_RET_TRAP, and system calls by other
// conventions than that of x86-64 are SECCOMP_RET_KILL_PROCESS. Where a rule
// wants the number of this process, the program has kOwnProcess.
//
// It runs when Annulus is built (make_filters.cc): libseccomp would take most
// of a millisecond for all lists, each time that a VM starts.
absl::StatusOr<std::vector<sock_filter>> CompileFilter(
    absl::Span<const SyscallRule* const> rules);

}  // namespace annulus

#endif  // VMM_SANDBOX_FILTER_COMPILER_H_
