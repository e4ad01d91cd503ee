#include "vmm/machine/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

// Of one turn, after which others who use the loop have theirs.
constexpr int kMostRounds = 16;

// Of any kind where writing can wait for a reader, and others may write.
bool IsPipeOrSocket(const UniqueFd& fd) {
  struct stat file;
  return fd.valid() && ::fstat(fd.get(), &file) == 0 &&
         (S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode));
}

bool Ready(int fd, short events, int timeout_ms) {
  pollfd waiting = {.fd = fd, .events = events, .revents = 0};
  return ::poll(&waiting, 1, timeout_ms) > 0;
}

// The access mode of an open descriptor; of an invalid one O_RDWR.
absl::StatusOr<int> AccessMode(const UniqueFd& fd, absl::string_view name) {
  if (!fd.valid()) return O_RDWR;
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0) return absl::ErrnoToStatus(errno, name);
  return flags & O_ACCMODE;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Console>> Console::Create(UniqueFd in,
                                                         UniqueFd out,
                                                         Interrupt& interrupt,
                                                         EventLoop& loop,
                                                         LogSink& log) {
  // Input that cannot be read has ended: nohup(1) leaves such behind.
  ANNULUS_RETURN_IF_ERROR(AccessMode(in, "console_in").status());
  ANNULUS_ASSIGN_OR_RETURN(const int mode, AccessMode(out, "console_out"));
  if (mode == O_RDONLY) {
    return absl::InvalidArgumentError(
        "console_out: was opened for reading alone");
  }
  ANNULUS_ASSIGN_OR_RETURN(EventFd output_ready, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd input_space, EventFd::Create());
  std::unique_ptr<Console> console(
      new Console(std::move(in), std::move(out), std::move(output_ready),
                  std::move(input_space), interrupt, loop, log));
  ANNULUS_RETURN_IF_ERROR(console->Watch());
  return console;
}

Console::Console(UniqueFd in, UniqueFd out, EventFd output_ready,
                 EventFd input_space, Interrupt& interrupt, EventLoop& loop,
                 LogSink& log)
    : in_(std::move(in)),
      out_(std::move(out)),
      output_ready_(std::move(output_ready)),
      input_space_(std::move(input_space)),
      loop_(loop),
      log_(log),
      serial_(interrupt, *this),
      out_shared_(IsPipeOrSocket(out_)) {}

absl::Status Console::Watch() {
  ANNULUS_RETURN_IF_ERROR(
      loop_.Watch(output_ready_.fd(), EPOLLIN, [this](uint32_t) {
        output_ready_.Drain();
        PumpOutput();
      }));
  ANNULUS_RETURN_IF_ERROR(
      loop_.Watch(input_space_.fd(), EPOLLIN, [this](uint32_t) {
        input_space_.Drain();
        PumpInput();
      }));
  if (!in_.valid()) return absl::OkStatus();
  absl::Status status =
      loop_.Watch(in_.get(), EPOLLIN, [this](uint32_t) { PumpInput(); });
  if (absl::IsPermissionDenied(status)) {
    // A regular file or /dev/null: always ready, so start by itself.
    input_space_.Signal();
    return absl::OkStatus();
  }
  in_pollable_ = input_watched_ = status.ok();
  return status;
}

bool Console::NextOutput() {
  if (output_start_ == output_end_) {
    output_start_ = 0;
    output_end_ = serial_.TakeOutput(absl::MakeSpan(output_));
  }
  return output_end_ != 0;
}

// Room that was there a moment ago, another writer may have taken; a write that
// waited for the reader then could not be called back.
ssize_t Console::Write(const uint8_t* data, size_t size) {
  if (out_shared_) {
    const iovec from = {const_cast<uint8_t*>(data), size};
    const ssize_t written = ::pwritev2(out_.get(), &from, 1, -1, RWF_NOWAIT);
    if (written >= 0 || errno != EOPNOTSUPP) return written;
    out_shared_ = false;  // A kernel before 6.5, of a pipe.
  }
  return ::write(out_.get(), data, size);
}

bool Console::WriteSome(int timeout_ms) {
  if (!out_.valid()) {
    dropped_bytes_.Add(output_end_ - output_start_);
    output_start_ = output_end_;
    return true;
  }
  if (!Ready(out_.get(), POLLOUT, timeout_ms)) return false;
  const ssize_t written =
      Write(output_.data() + output_start_, output_end_ - output_start_);
  if (written >= 0) {
    output_start_ += static_cast<size_t>(written);
    written_bytes_.Add(static_cast<uint64_t>(written));
    return true;
  }
  if (errno == EINTR || errno == EAGAIN) return false;
  log_.Log(LogSeverity::kWarning,
           absl::StrCat("console output: ", std::strerror(errno),
                        "; what the guest prints from now on is dropped"));
  if (awaiting_reader_) loop_.Unwatch(out_.get());
  awaiting_reader_ = false;
  out_.reset();
  return true;
}

// A guest may print as fast as this writes.
void Console::PumpOutput() {
  for (int rounds = 0; NextOutput(); ++rounds) {
    if (rounds == kMostRounds) {
      output_ready_.Signal();
      return;
    }
    if (!WriteSome(0)) {
      AwaitReader();
      return;
    }
    waited_since_ns_ = MonotonicNanoseconds();
  }
  if (awaiting_reader_) {
    loop_.Unwatch(out_.get());
    awaiting_reader_ = false;
  }
}

void Console::AwaitReader() {
  if (awaiting_reader_) return;
  waited_since_ns_ = MonotonicNanoseconds();
  awaiting_reader_ =
      loop_.Watch(out_.get(), EPOLLOUT, [this](uint32_t) { PumpOutput(); })
          .ok();
}

// And read as fast as this reads.
void Console::PumpInput() {
  for (int rounds = 0; in_.valid(); ++rounds) {
    if (rounds == kMostRounds) {
      input_space_.Signal();
      break;
    }
    if (input_start_ == input_end_) {
      // A spurious wake-up must not block the control thread in read().
      if (in_pollable_ && !Ready(in_.get(), POLLIN, 0)) break;
      const ssize_t got = ::read(in_.get(), input_.data(), input_.size());
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) break;
      if (got <= 0) {
        StopInput();
        return;
      }
      input_start_ = 0;
      input_end_ = static_cast<size_t>(got);
    }
    input_start_ += serial_.Receive(absl::MakeConstSpan(input_).subspan(
        input_start_, input_end_ - input_start_));
    if (input_start_ != input_end_) break;  // InputSpaceAvailable() follows.
  }
  ListenForInput(input_start_ == input_end_);
}

void Console::ListenForInput(bool listen) {
  if (!in_pollable_ || listen == input_watched_) return;
  if (listen) {
    // It was watched before; at worst input stays away.
    loop_.Watch(in_.get(), EPOLLIN, [this](uint32_t) { PumpInput(); })
        .IgnoreError();
  } else {
    // Not merely without events: a hang-up would be told all the time.
    loop_.Unwatch(in_.get());
  }
  input_watched_ = listen;
}

void Console::StopInput() {
  ListenForInput(false);
  in_.reset();
}

void Console::Flush(absl::Duration patience) {
  const int64_t patience_ns = absl::ToInt64Nanoseconds(patience);
  const int64_t begin = MonotonicNanoseconds();
  const int64_t last = begin + 2 * patience_ns;
  int64_t taken = awaiting_reader_ ? waited_since_ns_ : begin;
  while (NextOutput()) {
    const int64_t end = std::min(taken + patience_ns, last);
    const int64_t left = end - MonotonicNanoseconds();
    // Also one that has kept us waiting is asked once more.
    const bool written = WriteSome(
        static_cast<int>(std::max<int64_t>((left + 999'999) / 1'000'000, 0)));
    if (written) taken = MonotonicNanoseconds();
    if (written ? taken < last : left > 0) continue;
    log_.Log(LogSeverity::kWarning,
             "console output: the reader takes nothing; the rest is dropped");
    return;
  }
}

}  // namespace annulus
