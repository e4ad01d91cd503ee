// The program `annulus`: finds the subcommand.

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/log.h"
#include "cli/nearest_name.h"

namespace annulus::cli {
namespace {

struct Command {
  absl::string_view name;
  absl::string_view summary;
  int (*run)(Arguments arguments);
};

int HelpCommand(Arguments arguments);

constexpr Command kCommands[] = {
    {"run", "start a virtual machine and wait for its end", &RunCommand},
    {"check", "validate a configuration, print it with all defaults",
     &CheckCommand},
    {"ctl", "ask a running machine: status, pause, stop, metrics, events",
     &CtlCommand},
    {"device", "serve a device to another VMM over vhost-user", &DeviceCommand},
    {"jail",
     "run, or device, with nothing around it: an empty root, no network",
     &JailCommand},
    {"doctor", "say what this host can do, and what to do about the rest",
     &DoctorCommand},
    {"vsock", "talk with a program in a guest: connect or listen",
     &VsockCommand},
    {"version", "print the version", &VersionCommand},
    {"help", "this text, or `help COMMAND`", &HelpCommand},
};

std::string HelpText() {
  std::string text =
      "Usage: annulus COMMAND [ARGUMENTS]\n\n"
      "Annulus runs virtual machines on KVM.\n\nCommands:\n";
  for (const Command& command : kCommands) {
    std::string name(command.name);
    name.resize(9, ' ');
    absl::StrAppend(&text, "  ", name, command.summary, "\n");
  }
  absl::StrAppend(
      &text,
      "\nExamples:\n"
      "  annulus doctor\n"
      "  annulus run --kernel vmlinuz --initrd initrd.img --memory 1G\n"
      "  annulus help run\n\n",
      kExitCodesHelp);
  return text;
}

const Command* Find(absl::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int UnknownCommand(absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const Command& command : kCommands) names.push_back(command.name);
  std::string text =
      absl::StrCat("unknown command \"", absl::CHexEscape(name), "\"");
  const std::optional<absl::string_view> nearest = NearestName(name, names);
  if (nearest.has_value()) {
    absl::StrAppend(&text, "; did you mean ", *nearest, "?");
  }
  absl::StrAppend(&text, " (see annulus help)");
  PrintError(text);
  return static_cast<int>(ExitCode::kUsage);
}

int HelpCommand(Arguments arguments) {
  if (arguments.empty()) return PrintOutput(HelpText());
  const Command* command = Find(arguments[0]);
  if (command == nullptr) return UnknownCommand(arguments[0]);
  if (command->run == &HelpCommand) return PrintOutput(HelpText());
  constexpr absl::string_view kHelp = "--help";
  return command->run({&kHelp, 1});
}

// So that no file opened later takes the number of a standard stream.
void OpenStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      // The lowest free number is `fd`, as those below are open.
      [[maybe_unused]] const int opened = ::open("/dev/null", O_RDWR);
    }
  }
}

int Main(Arguments arguments) {
  OpenStandardStreams();
  if (arguments.empty()) {
    PrintError("which command? (see annulus help)");
    return static_cast<int>(ExitCode::kUsage);
  }
  absl::string_view name = arguments[0];
  if (name == "--help" || name == "-h") name = "help";
  if (name == "--version") name = "version";
  const Command* command = Find(name);
  if (command == nullptr) return UnknownCommand(name);
  return command->run(arguments.subspan(1));
}

}  // namespace
}  // namespace annulus::cli

int main(int argc, char** argv) {
  // Without a program name argc may be 0.
  std::vector<absl::string_view> arguments(argv + (argc > 0 ? 1 : 0),
                                           argv + argc);
  const absl::string_view kind =
      annulus::cli::DeviceKindOfProgram(argc > 0 ? argv[0] : "");
  if (!kind.empty()) arguments.insert(arguments.begin(), {"device", kind});
  return annulus::cli::Main(arguments);
}
