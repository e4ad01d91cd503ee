#include "cli/enter_sandbox.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/jail/enter_jail.h"
#include "cli/sandbox_violation.h"

namespace annulus::cli {
namespace {

// The hint is for users: a library does not know of flags.
absl::Status Explain(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("--sandbox: ", status.message(),
                   "; to run without, say --sandbox=off (docs/sandbox.md)"));
}

// Where the lines of kLog and kTrace go, for the rest of the process.
absl::StatusOr<int> OpenReport(const std::string& path) {
  if (path.empty()) return STDERR_FILENO;
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  return absl::ErrnoToStatus(errno, absl::StrCat("opening ", path));
}

absl::StatusOr<std::unique_ptr<Sandbox>> Lock(const SandboxFlag& flag,
                                              LandlockOptions landlock,
                                              LogSink& log) {
  SandboxOptions options;
  options.mode = flag.mode;
  options.landlock = std::move(landlock);
  ANNULUS_ASSIGN_OR_RETURN(options.report_fd, OpenReport(flag.report));
  ANNULUS_RETURN_IF_ERROR(HandleSandboxViolations());
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<Sandbox> sandbox,
                           Sandbox::Create(std::move(options), log));
  ANNULUS_RETURN_IF_ERROR(sandbox->LockProcess());
  return sandbox;
}

absl::StatusOr<std::unique_ptr<Sandbox>> EnterSandbox(const SandboxFlag& flag,
                                                      LandlockOptions landlock,
                                                      LogSink& log) {
  if (flag.mode == SandboxMode::kOff) return nullptr;
  absl::StatusOr<std::unique_ptr<Sandbox>> sandbox =
      Lock(flag, std::move(landlock), log);
  if (!sandbox.ok()) return Explain(sandbox.status());
  return sandbox;
}

}  // namespace

absl::StatusOr<LockedProcess> EnterJailAndSandbox(const JailOptions* jail,
                                                  const SandboxFlag& flag,
                                                  LandlockOptions landlock,
                                                  LogSink& log) {
  LockedProcess locked;
  if (jail != nullptr) {
    // Who waits outside removes files.
    landlock.remove_from.clear();
    ANNULUS_ASSIGN_OR_RETURN(locked.exit_code, EnterJail(*jail));
    if (locked.exit_code.has_value()) return locked;
  }
  ANNULUS_ASSIGN_OR_RETURN(locked.sandbox,
                           EnterSandbox(flag, std::move(landlock), log));
  return locked;
}

absl::Status EnterMainThread(Sandbox* sandbox) {
  if (sandbox == nullptr) return absl::OkStatus();
  return Explain(sandbox->EnterThread(SandboxRole::kMain, "main"));
}

ThreadSetup* SetupOf(Sandbox* sandbox, SandboxRole role) {
  return sandbox == nullptr ? nullptr : &sandbox->setup_of(role);
}

}  // namespace annulus::cli
