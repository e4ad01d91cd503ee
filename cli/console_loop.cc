#include "cli/console_loop.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/status_macros.h"
#include "cli/stop_signals.h"

namespace annulus::cli {
namespace {

constexpr size_t kMaxPending = size_t{64} << 10;

}  // namespace

void ConsoleLoop::BlockSignals() {
  sigset_t set = StopSignalSet();
  sigaddset(&set, SIGPIPE);
  sigaddset(&set, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

absl::StatusOr<std::unique_ptr<ConsoleLoop>> ConsoleLoop::Start(
    Options options) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd end, EventFd::Create());
  const sigset_t set = StopSignalSet();
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) {
    return absl::ErrnoToStatus(errno, "creating a signalfd");
  }
  std::unique_ptr<ConsoleLoop> loop(
      new ConsoleLoop(std::move(options), std::move(end), std::move(signals)));
  ANNULUS_ASSIGN_OR_RETURN(
      loop->thread_,
      Thread::Start("console", [loop = loop.get()] { loop->Run(); }));
  return loop;
}

ConsoleLoop::ConsoleLoop(Options options, EventFd end, UniqueFd signals)
    : options_(std::move(options)),
      end_(std::move(end)),
      signals_(std::move(signals)) {}

ConsoleLoop::~ConsoleLoop() {
  end_.Signal();
  thread_.Join();
}

bool ConsoleLoop::WantsInput() const {
  return options_.input >= 0 &&
         (options_.terminal || pending_.size() < kMaxPending);
}

void ConsoleLoop::Run() {
  for (;;) {
    // poll() passes over negative descriptors.
    pollfd fds[] = {
        {end_.fd(), POLLIN, 0},
        {signals_.get(), POLLIN, 0},
        {WantsInput() ? options_.input : -1, POLLIN, 0},
        {pending_.empty() ? -1 : options_.to_guest.get(), POLLOUT, 0},
    };
    if (::poll(fds, std::size(fds), -1) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) ReadSignal();
    if (fds[2].revents != 0) ReadInput();
    if (fds[3].revents != 0) WriteToGuest();
  }
}

void ConsoleLoop::ReadSignal() {
  signalfd_siginfo info;
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
  if (!signals_once_.Counts(info, MonotonicNanoseconds())) return;
  options_.stop(static_cast<int>(info.ssi_signo));
}

void ConsoleLoop::ReadInput() {
  char buffer[4096];
  const ssize_t size = ::read(options_.input, buffer, sizeof(buffer));
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (size <= 0) {  // End of input, or a terminal that went away.
    options_.input = -1;
    return;
  }
  const absl::string_view typed(buffer, static_cast<size_t>(size));
  if (options_.terminal) {
    TakeTyped(typed);
  } else {
    pending_.append(typed.data(), typed.size());
  }
  WriteToGuest();
}

void ConsoleLoop::TakeTyped(absl::string_view typed) {
  while (!typed.empty()) {
    size_t consumed = 0;
    const EscapeFilter::Command command =
        filter_.Filter(typed, pending_, consumed);
    typed.remove_prefix(consumed);
    if (command == EscapeFilter::Command::kLeave) options_.stop(SIGINT);
    if (command == EscapeFilter::Command::kHelp) {
      // To nobody's harm if standard error is closed.
      [[maybe_unused]] const ssize_t written =
          ::write(STDERR_FILENO, options_.help.data(), options_.help.size());
    }
  }
  if (pending_.size() > kMaxPending) pending_.resize(kMaxPending);
}

void ConsoleLoop::WriteToGuest() {
  if (pending_.empty()) return;
  const ssize_t written =
      ::write(options_.to_guest.get(), pending_.data(), pending_.size());
  if (written > 0) {
    pending_.erase(0, static_cast<size_t>(written));
  } else if (errno != EAGAIN && errno != EINTR) {
    // Nobody reads any more. A terminal is still heard for Ctrl-A X.
    pending_.clear();
    if (!options_.terminal) options_.input = -1;
  }
}

}  // namespace annulus::cli
