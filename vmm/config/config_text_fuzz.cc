#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "vmm/config/config_format.h"
#include "vmm/config/config_text.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/validate_devices_config.h"
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

// What stands in a file of either kind.
struct VmFile {
  static constexpr auto kParse = &ParseVmConfig;
  static constexpr auto kValidate = &ValidateVmConfig;
  static constexpr auto kPrint = &FormatVmConfig;
};

struct DevicesFile {
  static constexpr auto kParse = &ParseDevicesConfig;
  static constexpr auto kValidate = &ValidateDevicesConfig;
  static constexpr auto kPrint = &FormatDevicesConfig;
};

template <typename File>
void Parse(absl::string_view text, ConfigFormat format) {
  const auto config = File::kParse(text, format, "F");
  if (!config.ok()) {
    ANNULUS_CHECK(IsOnePrintableLine(config.status().message()));
    return;
  }
  const absl::Status valid = File::kValidate(*config);
  ANNULUS_CHECK(valid.ok() || IsOnePrintableLine(valid.message()));
  // What is printed is read back as the same.
  const std::string printed = File::kPrint(*config);
  const auto again = File::kParse(printed, ConfigFormat::kTextProto, "F");
  // Escapes may make the printed text longer than what is read.
  if (printed.size() > kMaxConfigBytes) return;
  ANNULUS_CHECK(again.ok());
  ANNULUS_CHECK(File::kPrint(*again) == printed);
}

}  // namespace
}  // namespace annulus

// The input is the text of a file, read in both formats, as
// both kinds of configuration.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format :
       {annulus::ConfigFormat::kTextProto, annulus::ConfigFormat::kJson}) {
    annulus::Parse<annulus::VmFile>(text, format);
    annulus::Parse<annulus::DevicesFile>(text, format);
  }
  return 0;
}
