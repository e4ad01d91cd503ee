#ifndef VMM_SANDBOX_SYSCALL_NAMES_H_
#define VMM_SANDBOX_SYSCALL_NAMES_H_

namespace annulus {

// What the kernel's headers call system call `number` of x86-64; "?" if they
// know none. Async-signal-safe.
const char* SyscallName(int number);

}  // namespace annulus

#endif  // VMM_SANDBOX_SYSCALL_NAMES_H_
