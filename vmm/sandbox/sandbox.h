#ifndef VMM_SANDBOX_SANDBOX_H_
#define VMM_SANDBOX_SANDBOX_H_

#include <array>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/thread_setup.h"
#include "vmm/sandbox/landlock.h"
#include "vmm/sandbox/sandbox_mode.h"
#include "vmm/sandbox/sandbox_role.h"
#include "vmm/sandbox/syscall_filter.h"
#include "vmm/sandbox/syscall_monitor.h"

namespace annulus {

struct SandboxOptions {
  SandboxMode mode = SandboxMode::kOn;  // Not kOff.
  LandlockOptions landlock;
  // Of kLog and kTrace: where their lines go. Stays open.
  int report_fd = 2;
};

// What this process gives up before it runs a guest: what it could do beyond
// its user (privileges.h), files (landlock.h), and, thread by thread, the
// system calls that it has no use for (syscall_lists.cc).
//
//   // Everything is open, no thread was started.
//   ANNULUS_ASSIGN_OR_RETURN(auto sandbox, Sandbox::Create(options, log));
//   ANNULUS_RETURN_IF_ERROR(sandbox->LockProcess());
//   {
//     const ScopedThreadSetup setup(sandbox.get());
//     ANNULUS_ASSIGN_OR_RETURN(vm, Vmm::Create(config, std::move(resources)));
//   }
//   // Threads of the program's own are started.
//   ANNULUS_RETURN_IF_ERROR(sandbox->EnterThread(SandboxRole::kMain, "main"));
//   absl::Status started = vm->Start();
//
// What breaks a list gets SIGSYS (syscall_filter.h), whose default action ends
// the process.
//
// Threads: EnterThread() on any, each once; the rest as said. It outlives the
//   threads that it is the setup of.
class Sandbox : public ThreadSetup {
 public:
  // Restricts nothing yet. For kLog and kTrace, starts the thread that is
  // asked.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Create(SandboxOptions options,
                                                         LogSink& log);

  // Privileges and, but for kLog and kTrace, files. A kernel without Landlock
  // is worth a warning, no error. The calling thread alone: before others are
  // started.
  absl::Status LockProcess();

  // The calling thread has the list of `role` from now on.
  absl::Status EnterThread(SandboxRole role, absl::string_view name);
  // ThreadSetup, of the library's threads.
  absl::Status EnterThread(ThreadKind kind, absl::string_view name) override;

  // A setup for threads of the program's own.
  ThreadSetup& setup_of(SandboxRole role) {
    return setups_[static_cast<size_t>(role)];
  }

 private:
  // Threads of one role, whatever kind they say that they are.
  class RoleSetup : public ThreadSetup {
   public:
    absl::Status EnterThread(ThreadKind kind, absl::string_view name) override;

    Sandbox* sandbox = nullptr;
    SandboxRole role = SandboxRole::kMain;
  };

  Sandbox(SandboxOptions options, LogSink& log);

  const SandboxOptions options_;
  LogSink& log_;
  std::vector<SyscallFilter> filters_;  // By role.
  std::array<RoleSetup, kSandboxRoles> setups_;
  SyscallMonitor* monitor_ = nullptr;  // The process's, of kLog and kTrace.
};

// The name that the calling thread was entered under; "" outside of any
// sandbox. Async-signal-safe: for handlers of SIGSYS.
const char* SandboxedThreadName();

}  // namespace annulus

#endif  // VMM_SANDBOX_SANDBOX_H_
