#include "vmm/version.h"

#include "absl/strings/str_cat.h"
#include "cli/commands.h"

namespace annulus::cli {

int VersionCommand(Arguments arguments) {
  FlagSet flags("annulus version",
                "Prints the version as \"annulus MAJOR.MINOR.PATCH\".");
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("version", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    return UsageError("version", "version takes no arguments");
  }
  return PrintOutput(absl::StrCat("annulus ", kVersion, "\n"));
}

}  // namespace annulus::cli
