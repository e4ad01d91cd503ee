#ifndef VMM_SANDBOX_SYSCALL_FILTER_H_
#define VMM_SANDBOX_SYSCALL_FILTER_H_

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace annulus {

// A seccomp filter: a program made of a list, which the kernel runs before each
// system call of a thread.
//
// Who breaks the list gets SIGSYS (SECCOMP_RET_TRAP) rather than a plain kill
// (SECCOMP_RET_KILL_PROCESS): the call is not made in either case, and the
// default action of SIGSYS ends the process, but a program can first say in a
// handler which call it was, without which a new libc's is hard to find.
// Nothing is lost by it. No list has rt_sigaction, so that the handler is the
// program's own; to block the signal is no way out, since the kernel then takes
// its default action at once.
//
// Calls by other conventions than that of x86-64 (32-bit, x32) have other
// numbers and end the process without a word.
//
// Threads: immutable; Install() on any.
class SyscallFilter {
 public:
  enum class Otherwise : uint8_t {
    kTrap,    // SIGSYS.
    kNotify,  // Whoever has the listener is asked.
  };

  // Of `program`, which CompileFilter() made.
  SyscallFilter(absl::Span<const sock_filter> program, Otherwise otherwise);
  // Whoever has the listener is asked about everything.
  static SyscallFilter OfNothing();

  // For the calling thread, and those that it starts, for ever. REQUIRES:
  // no_new_privs is set.
  absl::Status Install() const;
  // Likewise, of a filter that notifies; the listener, or an errno below zero.
  // After the filter is there, it calls nothing any more.
  int InstallWithListener() const;

 private:
  std::vector<sock_filter> program_;
};

}  // namespace annulus

#endif  // VMM_SANDBOX_SYSCALL_FILTER_H_
