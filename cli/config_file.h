#ifndef CLI_CONFIG_FILE_H_
#define CLI_CONFIG_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// Reads the configuration in `path`: JSON if the name ends in ".json", text
// format otherwise; "-" is standard input, in which a first "{" means JSON.
// InvalidArgument in one line that begins with the file's name. Does not
// validate ranges.
absl::StatusOr<VmConfig> ReadConfigFile(absl::string_view path);

// The same of devices that stand alone.
absl::StatusOr<DevicesConfig> ReadDevicesFile(absl::string_view path);

// How errors call `path`: printable, "standard input" for "-".
std::string ConfigFileName(absl::string_view path);

// Looks whether the files that a guest starts from can be used, so that the
// error names the field: "boot.kernel: vmlinuz: No such file or directory".
absl::Status CheckBootFiles(const BootConfig& boot);

}  // namespace annulus::cli

#endif  // CLI_CONFIG_FILE_H_
