#ifndef CLI_EXIT_CODES_H_
#define CLI_EXIT_CODES_H_

#include "absl/strings/string_view.h"

namespace annulus::cli {

// What the process `annulus` returns, for scripts. Values never change.
enum class ExitCode : int {
  kSuccess = 0,           // Done; `run`: the guest powered off.
  kHostError = 1,         // The host refused something; `doctor`: cannot run.
  kUsage = 2,             // A flag, the configuration or a file it names.
  kGuestReset = 3,        // `run`: the guest asked for a reset.
  kTripleFault = 4,       // `run`: the guest's processor shut down.
  kEmulationFailure = 5,  // `run`: KVM cannot emulate an instruction.
  kStoppedByControl = 6,  // `run`: ended through its control socket.
};

// `run` stopped by signal N returns kStoppedBySignal + N, as shells report it.
// Ctrl-A X counts as SIGINT: 130.
inline constexpr int kStoppedBySignal = 128;

// `run --debug-exit`: this plus the lower six bits of what the guest wrote.
inline constexpr int kDebugExit = 64;

// The part of --help that says the above; keep both together.
inline constexpr absl::string_view kExitCodesHelp =
    "Exit codes:\n"
    "  0    the guest powered off\n"
    "  1    the host refused something, for instance /dev/kvm\n"
    "  2    a flag, the configuration or a file that it names is wrong\n"
    "  3    the guest asked for a reset (also after a panic with panic=-1)\n"
    "  4    triple fault: the guest's processor shut down\n"
    "  5    KVM met an instruction that it cannot emulate\n"
    "  6    ended through its control socket (annulus ctl SOCK stop)\n"
    "  64   and up: written to the debug exit port (see --debug-exit)\n"
    "  130  stopped by Ctrl-A X or SIGINT; 143 by SIGTERM, 129 by SIGHUP\n";

}  // namespace annulus::cli

#endif  // CLI_EXIT_CODES_H_
