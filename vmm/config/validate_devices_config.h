#ifndef VMM_CONFIG_VALIDATE_DEVICES_CONFIG_H_
#define VMM_CONFIG_VALIDATE_DEVICES_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "vmm/config/devices_config.h"

namespace annulus {

// The bounds of a DevicesConfig.
inline constexpr size_t kMaxDevices = 64;
inline constexpr size_t kMaxDeviceName = 32;

// Checks every range and dependency among fields. InvalidArgument with one
// line, "FIELD: REASON", for the first field that is wrong, for instance
// "device[1].net.queue_pairs: 17 is not in 1..16". Opens no file.
//
// Trust: every string and number of `config` is untrusted.
absl::Status ValidateDevicesConfig(const DevicesConfig& config);

// What each device is called: its name, or its kind and how many of that kind
// come before it: "net0", "net1", "vsock0".
std::vector<std::string> DeviceNames(const DevicesConfig& config);

// "net", "vsock" or "rng"; empty for none.
absl::string_view DeviceKindName(const DeviceConfig& device);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_DEVICES_CONFIG_H_
