#include "cli/sandbox_flag.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "base/sanitizer.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"

namespace annulus::cli {
namespace {

constexpr char kHelp[] =
    "Before a guest is heard, give up privileges, files, and system\n"
    "calls that are not needed: on (default), off, or log, which\n"
    "says on standard error, or with log:FILE there, which system\n"
    "call is missing, and lets it pass; see docs/sandbox.md.";

}  // namespace

const SandboxMode kDefaultSandboxMode =
    kSanitizer ? SandboxMode::kOff : SandboxMode::kOn;

absl::StatusOr<SandboxFlag> ParseSandbox(absl::string_view value) {
  SandboxFlag flag;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(value, absl::MaxSplits(':', 1));
  const bool has_report = parts.first.size() != value.size();
  if (value == "on") {
    flag.mode = SandboxMode::kOn;
  } else if (value == "off") {
    flag.mode = SandboxMode::kOff;
  } else if (parts.first == "log") {
    flag.mode = SandboxMode::kLog;
  } else if (parts.first == "trace") {
    flag.mode = SandboxMode::kTrace;
  } else {
    return NotA(value, "on, off, log or log:FILE");
  }
  if (has_report && parts.second.empty()) return NotA(value, "log:FILE");
  flag.report = std::string(parts.second);
  return flag;
}

void AddSandboxFlag(SandboxFlag& target, FlagSet& flags) {
  flags.AddValue("sandbox", "MODE", kHelp,
                 [&target](absl::string_view value) -> absl::Status {
                   ANNULUS_ASSIGN_OR_RETURN(target, ParseSandbox(value));
                   return absl::OkStatus();
                 });
}

}  // namespace annulus::cli
