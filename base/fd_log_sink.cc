#include "base/fd_log_sink.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/socket_option.h"

namespace annulus {
namespace {

absl::string_view Name(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::kDebug:
      return "debug";
    case LogSeverity::kInfo:
      return "info";
    case LogSeverity::kWarning:
      return "warning";
    case LogSeverity::kError:
      return "error";
  }
  return "error";
}

// While it lives, a write to a pipe without a reader is an error and nothing
// else. Threads of the library block SIGPIPE anyway, but an embedder's thread
// may log as well, such as in Vmm::Create().
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    // Blocked before: a further one pending harms nobody.
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec now = {};
    if (raised_) sigtimedwait(&sigpipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

  void Raised() { raised_ = true; }

 private:
  sigset_t sigpipe_;
  sigset_t before_;
  bool raised_ = false;
};

}  // namespace

FdLogSink::FdLogSink(UniqueFd fd, LogSeverity least)
    : fd_(std::move(fd)),
      is_socket_(SocketOption(fd_.get(), SO_TYPE) >= 0),
      least_(least) {}

FdLogSink::~FdLogSink() = default;

uint64_t FdLogSink::lost() const {
  MutexLock lock(mu_);
  return lost_;
}

void FdLogSink::Log(LogSeverity severity, absl::string_view line) {
  if (severity < least_) return;
  const absl::string_view name = Name(severity);
  std::string text;
  MutexLock lock(mu_);
  if (unreported_ != 0) {
    text = absl::StrCat("warning: ", unreported_, " log lines were lost\n");
  }
  const size_t room = kMaxLine - text.size() - name.size() - 3;
  absl::StrAppend(&text, name, ": ", line.substr(0, room), "\n");
  if (Write(text)) {
    unreported_ = 0;
  } else {
    ++lost_;
    ++unreported_;
  }
}

bool FdLogSink::Write(absl::string_view text) {
  if (broken_) return false;
  if (is_socket_) {
    const ssize_t sent = ::send(fd_.get(), text.data(), text.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return sent == static_cast<ssize_t>(text.size());
    broken_ = errno == EPIPE || errno == ECONNRESET;
    return false;
  }
  return WritePipe(text);
}

// Also a file or a terminal. POLLOUT says that a pipe has room for PIPE_BUF
// bytes, which is kMaxLine.
bool FdLogSink::WritePipe(absl::string_view text) {
  pollfd writable = {.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&writable, 1, 0) != 1) return false;
  if ((writable.revents & (POLLERR | POLLNVAL)) != 0) broken_ = true;
  if ((writable.revents & POLLOUT) == 0 || broken_) return false;
  WithoutSigpipe guard;
  const ssize_t written = ::write(fd_.get(), text.data(), text.size());
  if (written < 0 && errno == EPIPE) {
    guard.Raised();
    broken_ = true;
  }
  return written == static_cast<ssize_t>(text.size());
}

}  // namespace annulus
