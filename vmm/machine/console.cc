#include "vmm/machine/console.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

constexpr int kFlushPatienceMs = 1000;

bool Ready(int fd, short events, int timeout_ms) {
  pollfd waiting = {.fd = fd, .events = events, .revents = 0};
  return ::poll(&waiting, 1, timeout_ms) > 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Console>> Console::Create(UniqueFd in,
                                                         UniqueFd out,
                                                         Interrupt& interrupt,
                                                         EventLoop& loop,
                                                         LogSink& log) {
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
      serial_(interrupt, *this) {}

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

bool Console::WriteSome(int timeout_ms) {
  if (!out_.valid()) {
    output_start_ = output_end_;
    return true;
  }
  if (!Ready(out_.get(), POLLOUT, timeout_ms)) return false;
  const ssize_t written = ::write(out_.get(), output_.data() + output_start_,
                                  output_end_ - output_start_);
  if (written >= 0) {
    output_start_ += static_cast<size_t>(written);
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

void Console::PumpOutput() {
  while (NextOutput()) {
    if (!WriteSome(0)) {
      AwaitReader();
      return;
    }
  }
  if (awaiting_reader_) {
    loop_.Unwatch(out_.get());
    awaiting_reader_ = false;
  }
}

void Console::AwaitReader() {
  if (awaiting_reader_) return;
  awaiting_reader_ =
      loop_.Watch(out_.get(), EPOLLOUT, [this](uint32_t) { PumpOutput(); })
          .ok();
}

void Console::PumpInput() {
  while (in_.valid()) {
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

void Console::Flush() {
  while (NextOutput()) {
    if (WriteSome(kFlushPatienceMs)) continue;
    log_.Log(LogSeverity::kWarning,
             "console output: the reader takes nothing; the rest is dropped");
    return;
  }
}

}  // namespace annulus
