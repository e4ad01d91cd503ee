#include "base/log_sink.h"

namespace annulus {
namespace {

class DroppingSink final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view) override {}
};

}  // namespace

LogSink& NullLogSink() {
  static DroppingSink sink;
  return sink;
}

}  // namespace annulus
