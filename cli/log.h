#ifndef CLI_LOG_H_
#define CLI_LOG_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "base/log_sink.h"

namespace annulus::cli {

// Writes log lines to standard error as "annulus: SEVERITY: LINE", through
// spdlog. Without the time of day: that would open the time zone's file in a
// process that opens nothing while a guest runs.
class StderrLog final : public LogSink {
 public:
  // Drops lines below `least`.
  explicit StderrLog(LogSeverity least);
  ~StderrLog() override;

  void Log(LogSeverity severity, absl::string_view line) override;

 private:
  struct Logger;  // Keeps spdlog's headers out of other files.
  const std::unique_ptr<Logger> logger_;
};

// Writes "annulus: TEXT" and a line break to standard error, in one piece.
void PrintError(absl::string_view text);

}  // namespace annulus::cli

#endif  // CLI_LOG_H_
