#include "memory/bus_errors.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>

#include "memory/guarded_mapping.h"

namespace annulus::memory {
namespace {

// Written before the handler is installed.
struct sigaction previous;

// What was to be done before this handler came.
void HandleAsBefore(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  const bool sent = info->si_code <= 0;  // By kill(2) and the like.
  if (previous.sa_handler == SIG_IGN && sent) return;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
    return;
  }
  // The default, which no fault can ignore, is taken when what faulted runs
  // again, or the signal is sent again, right after this handler.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  if (sent) ::raise(signal);
}

// Async-signal-safe: it calls nothing but system calls and lock-free reads.
void OnBusError(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const std::optional<int> lost_fd =
      info->si_code > 0 ? ReplaceLostMapping(info->si_addr) : std::nullopt;
  if (!lost_fd.has_value()) {
    HandleAsBefore(signal, info, context);
  } else {
    const uint64_t one = 1;
    // Where the counter is saturated, its reader is due to wake already.
    (void)::syscall(SYS_write, *lost_fd, &one, sizeof(one));
  }
  errno = error;
}

absl::Status Install() {
  if (::sigaction(SIGBUS, nullptr, &previous) != 0) {
    return absl::ErrnoToStatus(errno, "asking for the handler of SIGBUS");
  }
  struct sigaction action = {};
  action.sa_sigaction = &OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  if (::sigaction(SIGBUS, &action, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "installing a handler of SIGBUS");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status HandleBusErrors() {
  static const absl::Status installed = Install();
  return installed;
}

}  // namespace annulus::memory
