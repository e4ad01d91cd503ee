#ifndef CLI_ENTER_SANDBOX_H_
#define CLI_ENTER_SANDBOX_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "cli/sandbox_flag.h"
#include "vmm/sandbox/landlock.h"
#include "vmm/sandbox/sandbox.h"

namespace annulus::cli {

// Locks this process, which has opened everything and has one thread, as the
// flag says; null for kOff. What breaks the rules then is named on standard
// error before it ends the process. Errors are one line, with what to do.
absl::StatusOr<std::unique_ptr<Sandbox>> EnterSandbox(const SandboxFlag& flag,
                                                      LandlockOptions landlock,
                                                      LogSink& log);

// The main thread, once all others are started. A no-op for null.
absl::Status EnterMainThread(Sandbox* sandbox);

// A setup for threads of `role` that the program starts; null for null.
ThreadSetup* SetupOf(Sandbox* sandbox, SandboxRole role);

}  // namespace annulus::cli

#endif  // CLI_ENTER_SANDBOX_H_
