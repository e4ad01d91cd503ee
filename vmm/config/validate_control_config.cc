#include "vmm/config/validate_control_config.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "vmm/config/field_checks.h"

namespace annulus {

std::optional<uint32_t> ParseFileMode(absl::string_view mode) {
  absl::ConsumePrefix(&mode, "0");
  if (mode.size() != 3) return std::nullopt;
  uint32_t bits = 0;
  for (const char c : mode) {
    if (c < '0' || c > '7') return std::nullopt;
    bits = bits << 3 | static_cast<uint32_t>(c - '0');
  }
  return bits;
}

absl::Status ValidateControlConfig(const ControlConfig& control) {
  ANNULUS_RETURN_IF_ERROR(CheckSocketPath("control.socket", control.socket));
  if (control.fd != 0) {
    ANNULUS_RETURN_IF_ERROR(CheckFd("control.fd", control.fd));
    if (!control.socket.empty()) {
      return WrongField("control.fd", "is given, but socket is, too");
    }
  }
  if (!ParseFileMode(control.mode).has_value()) {
    return WrongField("control.mode",
                      absl::StrCat(Quoted(control.mode),
                                   " is not three octal digits like \"660\""));
  }
  return absl::OkStatus();
}

}  // namespace annulus
