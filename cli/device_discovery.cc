#include "cli/device_discovery.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace annulus::cli {
namespace {

absl::string_view Description(absl::string_view kind) {
  if (kind == "net") return "Annulus network device";
  if (kind == "vsock") return "Annulus socket device";
  return "Annulus entropy device";
}

}  // namespace

std::string DeviceCapabilities(absl::string_view kind) {
  return absl::StrCat("{\"type\": \"", kind, "\"}\n");
}

absl::StatusOr<std::string> DeviceDescriptor(absl::string_view kind,
                                             absl::string_view binary) {
  const bool printable = std::all_of(binary.begin(), binary.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c));
  });
  if (!absl::StartsWith(binary, "/") || !printable) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", absl::CHexEscape(binary), "\" is not an absolute path in ASCII"));
  }
  return absl::StrCat(
      "{\n  \"description\": \"", Description(kind), "\",\n  \"type\": \"",
      kind, "\",\n  \"binary\": \"",
      absl::StrReplaceAll(binary, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"\n}\n");
}

}  // namespace annulus::cli
