#ifndef BASE_FD_LOG_SINK_H_
#define BASE_FD_LOG_SINK_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/unique_fd.h"

namespace annulus {

// Writes log lines to a descriptor, as "warning: LINE\n", and never waits for
// whoever reads: what does not fit now is lost and counted, and the next line
// that fits says how much. A reader that is gone loses all that follows; no
// SIGPIPE reaches the process. The descriptor's flags stay as they are, for
// others may share them: of a pipe that others write to as well, one of those
// may take the room between the look and the write.
//
// System calls of Log(): sendto on a socket; else poll, write and
//   rt_sigprocmask, and rt_sigtimedwait where the reader is gone.
// Threads: thread-safe.
class FdLogSink final : public LogSink {
 public:
  // A longer line is cut: what a pipe takes in one piece.
  static constexpr size_t kMaxLine = 4096;

  // Of at least this severity.
  FdLogSink(UniqueFd fd, LogSeverity least);
  ~FdLogSink() override;

  void Log(LogSeverity severity, absl::string_view line) override;

  // Lines that were lost.
  uint64_t lost() const;

 private:
  bool Write(absl::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WritePipe(absl::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const UniqueFd fd_;
  const bool is_socket_;
  const LogSeverity least_;

  mutable Mutex mu_;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;  // Nobody will ever read.
  uint64_t lost_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t unreported_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace annulus

#endif  // BASE_FD_LOG_SINK_H_
