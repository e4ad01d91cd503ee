#ifndef CLI_ENTER_SANDBOX_H_
#define CLI_ENTER_SANDBOX_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "cli/jail/jail_options.h"
#include "cli/sandbox_flag.h"
#include "vmm/sandbox/landlock.h"
#include "vmm/sandbox/sandbox.h"

namespace annulus::cli {

// A process that has locked itself.
struct LockedProcess {
  // Of the process in the jail, which has ended: nothing is left to do in this
  // one.
  std::optional<int> exit_code;
  std::unique_ptr<Sandbox> sandbox;  // Null for kOff.
};

// Locks this process, which has opened everything and has one thread: in a jail
// where `jail` is not null, see EnterJail(), and as the flag says. `landlock`
// is what it needs outside of a jail. What breaks the rules then is named on
// standard error before it ends the process. Errors are one line, with what to
// do.
absl::StatusOr<LockedProcess> EnterJailAndSandbox(const JailOptions* jail,
                                                  const SandboxFlag& flag,
                                                  LandlockOptions landlock,
                                                  LogSink& log);

// The main thread, once all others are started. A no-op for null.
absl::Status EnterMainThread(Sandbox* sandbox);

// A setup for threads of `role` that the program starts; null for null.
ThreadSetup* SetupOf(Sandbox* sandbox, SandboxRole role);

}  // namespace annulus::cli

#endif  // CLI_ENTER_SANDBOX_H_
