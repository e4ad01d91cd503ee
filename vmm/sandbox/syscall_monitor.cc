#include "vmm/sandbox/syscall_monitor.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/sandbox/syscall_names.h"

namespace annulus {
namespace {

// Which of its arguments tells what such a call is for, if one does.
int TellingArgument(int number) {
  switch (number) {
    case SYS_ioctl:
    case SYS_fcntl:
      return 1;
    case SYS_socket:
    case SYS_prctl:
      return 0;
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_openat:
    case SYS_tgkill:
      return 2;
    default:
      return -1;
  }
}

}  // namespace

absl::StatusOr<SyscallMonitor*> SyscallMonitor::Start(Options options) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  std::unique_ptr<SyscallMonitor> monitor(
      new SyscallMonitor(std::move(options), std::move(wake)));
  ANNULUS_ASSIGN_OR_RETURN(
      monitor->thread_,
      Thread::Start("sandbox", [self = monitor.get()] { self->Run(); }));
  return monitor.release();
}

SyscallMonitor::Watched* SyscallMonitor::Take() {
  for (Watched& watched : watched_) {
    int none = kNone;
    if (watched.listener.compare_exchange_strong(none, kTaken,
                                                 std::memory_order_acquire)) {
      return &watched;
    }
  }
  return nullptr;
}

absl::Status SyscallMonitor::Enter(SandboxRole role, absl::string_view name,
                                   const SyscallFilter& filter) {
  Watched* const taken = Take();
  if (taken == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "sandbox: more than ", kMaxThreads, " threads cannot be watched"));
  }
  Watched& watched = *taken;
  watched.role = role;
  watched.name = {};
  name.copy(watched.name.data(), watched.name.size() - 1);
  watched.listener.store(kPending, std::memory_order_release);
  // From here on the monitor waits for the listener: once the filter is there,
  // this thread could not even say so.
  wake_.Signal();
  const int listener = filter.InstallWithListener();
  watched.listener.store(listener < 0 ? kNone : listener,
                         std::memory_order_release);
  if (listener >= 0) return absl::OkStatus();
  return absl::ErrnoToStatus(-listener,
                             "seccomp: installing a filter that notifies");
}

void SyscallMonitor::Run() {
  std::array<pollfd, kMaxThreads + 1> fds;
  std::array<Watched*, kMaxThreads + 1> whose;
  for (;;) {
    fds[0] = {.fd = wake_.fd(), .events = POLLIN, .revents = 0};
    nfds_t count = 1;
    for (Watched& watched : watched_) {
      // Acquire: see Watched.
      int listener = watched.listener.load(std::memory_order_acquire);
      while (listener == kPending) {
        ::sched_yield();
        listener = watched.listener.load(std::memory_order_acquire);
      }
      if (listener < 0) continue;
      whose[count] = &watched;
      fds[count++] = {.fd = listener, .events = POLLIN, .revents = 0};
    }
    if (::poll(fds.data(), count, -1) < 0) continue;  // EINTR.
    if (fds[0].revents != 0) wake_.Drain();
    for (nfds_t i = 1; i < count; ++i) {
      if ((fds[i].revents & POLLIN) != 0) {
        Answer(*whose[i]);
      } else if (fds[i].revents != 0) {  // The thread has ended.
        ::close(fds[i].fd);
        whose[i]->listener.store(kNone, std::memory_order_release);
      }
    }
  }
}

void SyscallMonitor::Answer(Watched& watched) {
  const int listener = watched.listener.load(std::memory_order_relaxed);
  seccomp_notif asked = {};
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) return;
  std::array<uint64_t, 6> arguments;
  std::copy(std::begin(asked.data.args), std::end(asked.data.args),
            arguments.begin());
  Report(watched, asked.data.nr, arguments);
  seccomp_notif_resp answer = {};
  answer.id = asked.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  // It may have been killed meanwhile.
  (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

bool SyscallMonitor::FirstTime(const Seen& call) {
  const auto end = seen_.begin() + static_cast<ptrdiff_t>(seen_count_);
  if (std::find(seen_.begin(), end, call) != end) return false;
  if (seen_count_ == kMaxSeen) return false;
  seen_[seen_count_++] = call;
  return true;
}

void SyscallMonitor::Report(const Watched& watched, int number,
                            const std::array<uint64_t, 6>& arguments) {
  const auto& list = options_.lists[static_cast<size_t>(watched.role)];
  const uint64_t process = static_cast<uint64_t>(::getpid());
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const SyscallRule* rule) {
        return Matches(*rule, number, arguments, process);
      });
  std::array<char, 256> line;
  int size = 0;
  if (found != list.end()) {
    if (!options_.trace || !FirstTime({.role = watched.role, .rule = *found})) {
      return;
    }
    size = std::snprintf(line.data(), line.size(),
                         "annulus: sandbox: used: %s: %s\n",
                         NameOf(watched.role).data(), (*found)->name);
  } else {
    const int telling = TellingArgument(number);
    const uint64_t detail =
        telling < 0 ? 0 : arguments[static_cast<size_t>(telling)];
    if (!FirstTime(
            {.role = watched.role, .number = number, .detail = detail})) {
      return;
    }
    char argument[48] = "";
    if (telling >= 0) {
      (void)std::snprintf(argument, sizeof(argument),
                          " with argument %d = %#llx", telling + 1,
                          static_cast<unsigned long long>(detail));
    }
    size = std::snprintf(
        line.data(), line.size(),
        "annulus: sandbox: %s (%d)%s of thread %s is not in the list \"%s\"\n",
        SyscallName(number), number, argument, watched.name.data(),
        NameOf(watched.role).data());
  }
  if (size <= 0) return;
  const size_t length = std::min(static_cast<size_t>(size), line.size() - 1);
  (void)!::write(options_.report_fd, line.data(), length);
}

}  // namespace annulus
