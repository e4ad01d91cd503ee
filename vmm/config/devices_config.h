#ifndef VMM_CONFIG_DEVICES_CONFIG_H_
#define VMM_CONFIG_DEVICES_CONFIG_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vmm/config/vm_config.h"

namespace annulus {

// Devices that stand alone, served to other VMMs over vhost-user, as plain
// data. proto/device_config.proto has the same fields under the same names.
//
// Trust: may come from an untrusted file; ValidateDevicesConfig() bounds every
// number before anything is built from it.

struct DeviceConfig {
  std::string name;  // Empty: see DeviceNames().
  // Where the front-end comes from, one of the three.
  std::string socket;      // Path: made, and listened on.
  std::string connect;     // Path: where the front-end listens.
  uint32_t fd = 0;         // A listening or a connected socket; 0: none.
  std::string state_file;  // Path; empty: none.
  // What it is; has to be one. The transport in it is the front-end's affair.
  std::variant<std::monostate, NetConfig, VsockConfig, RngConfig> kind;
};

struct DevicesConfig {
  std::vector<DeviceConfig> device;
};

}  // namespace annulus

#endif  // VMM_CONFIG_DEVICES_CONFIG_H_
