#ifndef VMM_CONFIG_CONFIG_TEXT_H_
#define VMM_CONFIG_CONFIG_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/config_format.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// Reads a VmConfig from the text of an annulus.proto.VmConfig message
// (proto/vm_config.proto). `file_name` only appears in errors, InvalidArgument
// with one line each: "FILE:LINE:COLUMN: REASON" for text format,
// "FILE: FIELD: REASON" for JSON. Does not validate ranges: follow up with
// ValidateVmConfig().
//
// Threads: any.
// Trust: `text` is untrusted. Nesting and size are bounded.
absl::StatusOr<VmConfig> ParseVmConfig(absl::string_view text,
                                       ConfigFormat format,
                                       absl::string_view file_name);

// The whole effective configuration as text format, defaults spelled out;
// ParseVmConfig() reads it back to the same configuration.
std::string FormatVmConfig(const VmConfig& config);

// The same of devices that stand alone: an annulus.proto.DevicesConfig message
// (proto/device_config.proto), to be followed by ValidateDevicesConfig().
absl::StatusOr<DevicesConfig> ParseDevicesConfig(absl::string_view text,
                                                 ConfigFormat format,
                                                 absl::string_view file_name);
std::string FormatDevicesConfig(const DevicesConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_CONFIG_TEXT_H_
