#ifndef CLI_COMMANDS_H_
#define CLI_COMMANDS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/flag_set.h"
#include "cli/jail/jail_options.h"

namespace annulus::cli {

// The subcommands. Each takes the arguments behind its name and returns the
// exit code of the process; see exit_codes.h. One file each: run.cc, check.cc,
// ctl.cc, device.cc, doctor.cc, jail.cc, vsock.cc, version.cc; `help` is in
// main.cc.
int RunCommand(Arguments arguments);
int CheckCommand(Arguments arguments);
int CtlCommand(Arguments arguments);
int DeviceCommand(Arguments arguments);
int DoctorCommand(Arguments arguments);
int JailCommand(Arguments arguments);
int VsockCommand(Arguments arguments);
int VersionCommand(Arguments arguments);

// What JailCommand() puts into its jail.
int RunCommandInJail(Arguments arguments, const JailOptions& jail);
int DeviceCommandInJail(Arguments arguments, const JailOptions& jail);

// What kind of device the program is by the name that it was started under:
// "net" of "/usr/bin/annulus-device-net"; empty: it is `annulus`.
absl::string_view DeviceKindOfProgram(absl::string_view program);

// For the subcommands: says on standard error what is wrong with the arguments
// and where help is, and returns ExitCode::kUsage.
int UsageError(absl::string_view command, absl::string_view reason);

// Writes `text` to standard output. Returns ExitCode::kSuccess, or kHostError
// where it cannot be written (a full disk, a pipe that nobody reads).
int PrintOutput(absl::string_view text);

}  // namespace annulus::cli

#endif  // CLI_COMMANDS_H_
