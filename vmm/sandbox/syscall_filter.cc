#include "vmm/sandbox/syscall_filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "vmm/sandbox/syscall_rule.h"

namespace annulus {
namespace {

int64_t Load(absl::Span<const sock_filter> program, uint64_t flags) {
  sock_fprog loaded = {
      .len = static_cast<unsigned short>(program.size()),
      // The kernel reads it.
      .filter = const_cast<sock_filter*>(program.data()),
  };
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &loaded);
}

// No mitigation of speculation that a process without a filter has not got, as
// kernels before 5.16 switched on with it: all code of this process is ours,
// and a guest's is behind what KVM does about it.
constexpr uint64_t kFlags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;

}  // namespace

SyscallFilter::SyscallFilter(absl::Span<const sock_filter> program,
                             Otherwise otherwise)
    : program_(program.begin(), program.end()) {
  for (sock_filter& one : program_) {
    if (one.code == (BPF_JMP | BPF_JEQ | BPF_K) && one.k == kOwnProcess) {
      one.k = static_cast<uint32_t>(::getpid());
    }
    if (otherwise == Otherwise::kNotify && one.code == (BPF_RET | BPF_K) &&
        one.k == SECCOMP_RET_TRAP) {
      one.k = SECCOMP_RET_USER_NOTIF;
    }
  }
}

SyscallFilter SyscallFilter::OfNothing() {
  const sock_filter ask = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  return SyscallFilter({&ask, 1}, Otherwise::kNotify);
}

absl::Status SyscallFilter::Install() const {
  // The kernel's log, too, names who broke the list.
  if (Load(program_, kFlags | SECCOMP_FILTER_FLAG_LOG) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, "seccomp: installing a filter");
}

int SyscallFilter::InstallWithListener() const {
  const int64_t listener =
      Load(program_, kFlags | SECCOMP_FILTER_FLAG_NEW_LISTENER);
  return listener < 0 ? -errno : static_cast<int>(listener);
}

}  // namespace annulus
