// What a machine that is not to be trusted answers `annulus ctl`: nothing
// crashes, and what is printed is printable.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "cli/control_client.h"
#include "cli/control_text.h"
#include "cli/prometheus.h"

namespace annulus::cli {
namespace {

void CheckPrintable(absl::string_view text) {
  for (const char c : text) {
    ANNULUS_CHECK(c == '\n' ||
                  absl::ascii_isprint(static_cast<unsigned char>(c)));
  }
}

void CheckPrometheus(absl::string_view text) {
  CheckPrintable(text);
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ANNULUS_CHECK(line.empty() || absl::StartsWith(line, "annulus_") ||
                  absl::StartsWith(line, "# HELP annulus_") ||
                  absl::StartsWith(line, "# TYPE annulus_"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  DelimitedReader reader(size_t{1} << 16);
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  for (size_t at = 0; at < size; at += 7) {
    reader.Append(input.substr(at, 7));
    for (;;) {
      const auto reply = NextReply(reader);
      if (!reply.ok()) return 0;
      if (!reply->has_value()) break;
      CheckPrintable(StatusOf(**reply).message());
      CheckPrintable(StatusText((*reply)->status()));
      CheckPrintable(EventLine((*reply)->event()));
      CheckPrintable(ExitText((*reply)->event()));
      CheckPrometheus(PrometheusText((*reply)->status(), (*reply)->counters()));
    }
  }
  return 0;
}

}  // namespace annulus::cli
