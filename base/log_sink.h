#ifndef BASE_LOG_SINK_H_
#define BASE_LOG_SINK_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace annulus {

enum class LogSeverity : uint8_t { kDebug, kInfo, kWarning, kError };

// Where the library's log lines go. The embedder implements it; the library
// itself never writes to a terminal.
//
// Threads: Log() is called from any thread, concurrently, and with locks held:
//   it returns soon. Of a Vmm it may call Stop(), and nothing else.
// Trust: `line` may quote guest-controlled numbers, never guest-chosen text.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Log(LogSeverity severity, absl::string_view line) = 0;
};

// Drops every line. The default where no sink is given.
LogSink& NullLogSink();

}  // namespace annulus

#endif  // BASE_LOG_SINK_H_
