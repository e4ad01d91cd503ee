#ifndef CLI_JAIL_JAIL_CONFIG_H_
#define CLI_JAIL_JAIL_CONFIG_H_

#include "absl/status/status.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {

// What needs files while it runs cannot be in a jail, where there are none:
// InvalidArgument, with the field, and what would do. Files that are opened
// before are no problem, nor are sockets at which others connect.
absl::Status CheckJailConfig(const VmConfig& config);
absl::Status CheckJailConfig(const DevicesConfig& config);

}  // namespace annulus::cli

#endif  // CLI_JAIL_JAIL_CONFIG_H_
