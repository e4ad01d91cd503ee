#include "cli/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace annulus::cli {
namespace {

spdlog::level::level_enum Level(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::kDebug:
      return spdlog::level::debug;
    case LogSeverity::kInfo:
      return spdlog::level::info;
    case LogSeverity::kWarning:
      return spdlog::level::warn;
    case LogSeverity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

struct StderrLog::Logger {
  spdlog::logger logger{"annulus",
                        std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

StderrLog::StderrLog(LogSeverity least) : logger_(std::make_unique<Logger>()) {
  logger_->logger.set_pattern("annulus: %l: %v");
  logger_->logger.set_level(Level(least));
}

StderrLog::~StderrLog() = default;

void StderrLog::Log(LogSeverity severity, absl::string_view line) {
  logger_->logger.log(Level(severity),
                      spdlog::string_view_t(line.data(), line.size()));
}

void PrintError(absl::string_view text) {
  const std::string line = absl::StrCat("annulus: ", text, "\n");
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace annulus::cli
