#ifndef VMM_CONFIG_VALIDATE_CONTROL_CONFIG_H_
#define VMM_CONFIG_VALIDATE_CONTROL_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of validate_config.h that is about the control socket.
absl::Status ValidateControlConfig(const ControlConfig& control);

// Permissions of three octal digits, perhaps behind a 0; nothing, if they are
// not such.
std::optional<uint32_t> ParseFileMode(absl::string_view mode);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_CONTROL_CONFIG_H_
