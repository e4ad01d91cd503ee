#ifndef VMM_CONFIG_CONFIG_TEXT_H_
#define VMM_CONFIG_CONFIG_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus {

enum class ConfigFormat : uint8_t { kTextProto, kJson };

// Reads a VmConfig from the text of an annulus.VmConfig message
// (proto/vm_config.proto). `file_name` only appears in errors, which are one
// line each: file, line or field, reason. Does not validate ranges.
// Trust: `text` is untrusted.
absl::StatusOr<VmConfig> ParseVmConfig(absl::string_view text,
                                       ConfigFormat format,
                                       absl::string_view file_name);

// The whole effective configuration as text format, defaults spelled out;
// ParseVmConfig() reads it back.
std::string FormatVmConfig(const VmConfig& config);

// Checks every range and dependency among fields. InvalidArgument with one
// line, "FIELD: REASON", for the first field that is wrong, for instance
// "cpu.count: 1000 is not in 1..32". Opens no file.
absl::Status ValidateVmConfig(const VmConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_CONFIG_TEXT_H_
