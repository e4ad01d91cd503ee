#ifndef VMM_SANDBOX_SYSCALL_LISTS_H_
#define VMM_SANDBOX_SYSCALL_LISTS_H_

#include <vector>

#include "vmm/sandbox/sandbox_role.h"
#include "vmm/sandbox/syscall_rule.h"

namespace annulus {

// What threads of `role` may ask the kernel for from the moment on in which
// they enter the sandbox: everything else ends the process. syscall_lists.cc is
// the one place in which that is said.
std::vector<const SyscallRule*> SyscallsOf(SandboxRole role);
// The two parts of that: what all roles have, and what this one has beside it.
std::vector<const SyscallRule*> CommonSyscalls();
std::vector<const SyscallRule*> OwnSyscallsOf(SandboxRole role);

}  // namespace annulus

#endif  // VMM_SANDBOX_SYSCALL_LISTS_H_
