#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "vmm/config/config_text.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

bool IsOnePrintableLine(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return true;
}

void Parse(absl::string_view text, ConfigFormat format) {
  const absl::StatusOr<VmConfig> config = ParseVmConfig(text, format, "F");
  if (!config.ok()) {
    ANNULUS_CHECK(IsOnePrintableLine(config.status().message()));
    return;
  }
  const absl::Status valid = ValidateVmConfig(*config);
  ANNULUS_CHECK(valid.ok() || IsOnePrintableLine(valid.message()));
  // What is printed is read back as the same.
  const std::string printed = FormatVmConfig(*config);
  const absl::StatusOr<VmConfig> again =
      ParseVmConfig(printed, ConfigFormat::kTextProto, "F");
  // Escapes may make the printed text longer than what is read.
  if (printed.size() > kMaxConfigBytes) return;
  ANNULUS_CHECK(again.ok());
  ANNULUS_CHECK(FormatVmConfig(*again) == printed);
}

}  // namespace
}  // namespace annulus

// The input is the text of a file, read in both formats.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  annulus::Parse(text, annulus::ConfigFormat::kTextProto);
  annulus::Parse(text, annulus::ConfigFormat::kJson);
  return 0;
}
