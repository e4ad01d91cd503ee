#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/exit_codes.h"
#include "cli/log.h"
#include "vmm/config/config_text.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kDescription =
    "Validates the configuration in FILE (- is standard input) and prints it\n"
    "with every default spelled out, as text format. What is wrong is said in\n"
    "one line with file, field and reason.";

constexpr absl::string_view kExamples =
    "Examples:\n"
    "  annulus check vm.textproto\n"
    "  annulus check --no-files vm.json > effective.textproto\n"
    "  annulus check --devices devices.textproto\n"
    "  echo 'boot { kernel: \"vmlinuz\" } cpu { count: 2 }' | annulus check "
    "-\n";

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 valid, 2 not valid, 1 the output cannot be written.\n";

int Refuse(absl::string_view line) {
  PrintError(line);
  return static_cast<int>(ExitCode::kUsage);
}

int CheckVm(const std::string& file, bool files) {
  const absl::StatusOr<VmConfig> config = ReadConfigFile(file);
  if (!config.ok()) return Refuse(config.status().message());
  absl::Status status = ValidateVmConfig(*config);
  if (status.ok() && files) status = CheckBootFiles(config->boot);
  if (!status.ok()) {
    return Refuse(absl::StrCat(ConfigFileName(file), ": ", status.message()));
  }
  return PrintOutput(FormatVmConfig(*config));
}

int CheckDevices(const std::string& file) {
  const absl::StatusOr<DevicesConfig> config = ReadDevicesFile(file);
  if (!config.ok()) return Refuse(config.status().message());
  const absl::Status status = ValidateDevicesConfig(*config);
  if (!status.ok()) {
    return Refuse(absl::StrCat(ConfigFileName(file), ": ", status.message()));
  }
  return PrintOutput(FormatDevicesConfig(*config));
}

}  // namespace

int CheckCommand(Arguments arguments) {
  bool files = true;
  bool devices = false;
  FlagSet flags("annulus check [FLAGS] FILE", kDescription);
  flags.AddSwitch("files", 0,
                  "Look whether kernel and initrd can be read. Default: on;\n"
                  "--no-files leaves it out.",
                  [&files](bool on) { files = on; });
  flags.AddSwitch("devices", 0,
                  "FILE is one of annulus device --config, not of a machine.",
                  [&devices](bool on) { devices = on; });
  flags.AddHelpSection(kExamples);
  flags.AddHelpSection(kExitCodes);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("check", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (positional->size() != 1) {
    return UsageError("check", "check takes one FILE");
  }
  const std::string& file = positional->front();
  return devices ? CheckDevices(file) : CheckVm(file, files);
}

}  // namespace annulus::cli
