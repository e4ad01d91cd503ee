#include "cli/run_error.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace annulus::cli {

RunError ExplainRunError(const absl::Status& status, const VmConfig& config) {
  const struct {
    absl::string_view library;
    absl::string_view field;
    absl::string_view path;
  } kParts[] = {
      {"kernel: ", "boot.kernel: ", config.boot.kernel},
      {"initrd: ", "boot.initrd: ", config.boot.initrd},
      {"command line: ", "boot.cmdline: ", ""},
  };
  absl::string_view reason = status.message();
  for (const auto& part : kParts) {
    if (!absl::ConsumePrefix(&reason, part.library)) continue;
    std::string line(part.field);
    if (!part.path.empty()) {
      absl::StrAppend(&line, absl::CHexEscape(part.path), ": ");
    }
    absl::StrAppend(&line, reason);
    return {line, ExitCode::kUsage};
  }
  // Files and interfaces that could not be opened come with their field.
  for (const absl::string_view field :
       {"boot.", "console.", "rng[", "net[", "vsock"}) {
    if (absl::StartsWith(reason, field)) {
      return {std::string(reason), ExitCode::kUsage};
    }
  }
  // Not the status's code: errno EINVAL and ENOTTY of a host's call are
  // InvalidArgument, too.
  return {std::string(reason), ExitCode::kHostError};
}

}  // namespace annulus::cli
