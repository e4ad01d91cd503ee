#include "vmm/sandbox/sandbox.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/settle_heap.h"
#include "base/status_macros.h"
#include "vmm/sandbox/compiled_filters.h"
#include "vmm/sandbox/privileges.h"
#include "vmm/sandbox/syscall_lists.h"

namespace annulus {
namespace {

thread_local std::array<char, 16> thread_name = {};

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Create(SandboxOptions options,
                                                         LogSink& log) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(std::move(options), log));
  const SandboxMode mode = sandbox->options_.mode;
  for (int role = 0; role < kSandboxRoles; ++role) {
    sandbox->filters_.push_back(
        mode == SandboxMode::kTrace
            ? SyscallFilter::OfNothing()
            : SyscallFilter(CompiledFilter(static_cast<SandboxRole>(role)),
                            mode == SandboxMode::kOn
                                ? SyscallFilter::Otherwise::kTrap
                                : SyscallFilter::Otherwise::kNotify));
  }
  if (mode == SandboxMode::kOn) return sandbox;
  SyscallMonitor::Options monitor = {.report_fd = sandbox->options_.report_fd,
                                     .trace = mode == SandboxMode::kTrace,
                                     .lists = {}};
  for (int role = 0; role < kSandboxRoles; ++role) {
    monitor.lists[static_cast<size_t>(role)] =
        SyscallsOf(static_cast<SandboxRole>(role));
  }
  ANNULUS_ASSIGN_OR_RETURN(sandbox->monitor_,
                           SyscallMonitor::Start(std::move(monitor)));
  return sandbox;
}

Sandbox::Sandbox(SandboxOptions options, LogSink& log)
    : options_(std::move(options)), log_(log) {
  for (int role = 0; role < kSandboxRoles; ++role) {
    setups_[static_cast<size_t>(role)].sandbox = this;
    setups_[static_cast<size_t>(role)].role = static_cast<SandboxRole>(role);
  }
}

absl::Status Sandbox::LockProcess() {
  ANNULUS_RETURN_IF_ERROR(DropPrivileges());
  if (options_.mode == SandboxMode::kOn) {
    ANNULUS_ASSIGN_OR_RETURN(const int version,
                             RestrictByLandlock(options_.landlock));
    if (version == 0) {
      log_.Log(LogSeverity::kWarning,
               "sandbox: this kernel has no Landlock, or it is switched off "
               "(lsm=): the file system is as open as to the user");
    }
  }
  // Before any thread may not open what free(3) wants to look at.
  SettleHeap();
  return absl::OkStatus();
}

absl::Status Sandbox::EnterThread(SandboxRole role, absl::string_view name) {
  name.copy(thread_name.data(), thread_name.size() - 1);
  const SyscallFilter& filter = filters_[static_cast<size_t>(role)];
  if (monitor_ != nullptr) return monitor_->Enter(role, name, filter);
  return filter.Install();
}

absl::Status Sandbox::EnterThread(ThreadKind kind, absl::string_view name) {
  return EnterThread(RoleOf(kind), name);
}

absl::Status Sandbox::RoleSetup::EnterThread(ThreadKind /*kind*/,
                                             absl::string_view name) {
  return sandbox->EnterThread(role, name);
}

const char* SandboxedThreadName() { return thread_name.data(); }

}  // namespace annulus
