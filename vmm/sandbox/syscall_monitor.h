#ifndef VMM_SANDBOX_SYSCALL_MONITOR_H_
#define VMM_SANDBOX_SYSCALL_MONITOR_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "vmm/sandbox/sandbox_role.h"
#include "vmm/sandbox/syscall_filter.h"
#include "vmm/sandbox/syscall_rule.h"

namespace annulus {

// What the modes kLog and kTrace have in place of a kill: a thread, in no
// filter, that is asked about system calls (SECCOMP_RET_USER_NOTIF), says what
// it sees, once each, and lets all of them pass. That takes no privilege and
// no audit, unlike the kernel's own log; and costs each such call two switches
// of threads.
//
// The threads that it watches wait for it at any point, also inside of malloc()
// and with a lock of the log's. So it takes no lock, allocates nothing and
// writes its lines to a descriptor itself.
//
// It lives as long as the process, as do filters that ask it.
//
// Threads: Enter() on any, each its own once.
class SyscallMonitor {
 public:
  using Lists = std::array<std::vector<const SyscallRule*>, kSandboxRoles>;

  struct Options {
    int report_fd = -1;  // Where lines go; stays open.
    // Also reports what is in the lists, as "used" (kTrace).
    bool trace = false;
    Lists lists;
  };

  // Starts the thread.
  static absl::StatusOr<SyscallMonitor*> Start(Options options);

  // Installs `filter`, which notifies, on the calling thread.
  absl::Status Enter(SandboxRole role, absl::string_view name,
                     const SyscallFilter& filter);

 private:
  static constexpr size_t kMaxThreads = 2048;
  static constexpr size_t kMaxSeen = 4096;

  struct Watched {
    SandboxRole role = SandboxRole::kMain;
    std::array<char, 16> name = {};
    // The listener, or one of the below. Release: pairs with the monitor's
    // acquire of it, for role and name; and the monitor's of kNone with that of
    // the next thread that takes the place.
    std::atomic<int> listener{kNone};
  };
  static constexpr int kNone = -1;
  static constexpr int kTaken = -2;    // By a thread that says who it is.
  static constexpr int kPending = -3;  // It is about to have a listener.

  // What was reported: a rule, or a call that is in none.
  struct Seen {
    SandboxRole role = SandboxRole::kMain;
    const SyscallRule* rule = nullptr;
    int number = 0;
    uint64_t detail = 0;
    bool operator==(const Seen&) const = default;
  };

  SyscallMonitor(Options options, EventFd wake)
      : options_(std::move(options)), wake_(std::move(wake)) {}

  Watched* Take();
  void Run();
  void Answer(Watched& watched);
  void Report(const Watched& watched, int number,
              const std::array<uint64_t, 6>& arguments);
  bool FirstTime(const Seen& call);

  const Options options_;
  EventFd wake_;
  std::array<Watched, kMaxThreads> watched_;
  // The monitor's.
  std::array<Seen, kMaxSeen> seen_;
  size_t seen_count_ = 0;
  Thread thread_;
};

}  // namespace annulus

#endif  // VMM_SANDBOX_SYSCALL_MONITOR_H_
