#include "cli/vsock_relay.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/thread.h"

namespace annulus::cli {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

absl::Status Failure(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(error)));
}

// Also to one that another process made non-blocking.
bool WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd poll = {fd, POLLOUT, 0};
      ::poll(&poll, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

class Relayer {
 public:
  Relayer(const RelayEnds& ends, EventFd stop)
      : ends_(ends), stop_(std::move(stop)) {}

  RelayResult Run() {
    const int on = 1;
    if (ends_.messages && ::setsockopt(ends_.socket, SOL_SOCKET, SO_PASSCRED,
                                       &on, sizeof(on)) != 0) {
      return {Failure("asking who sends messages", errno), false, false};
    }
    auto sender = Thread::Start("vsock-send", [this] { sent_ = Send(); });
    if (!sender.ok()) return {sender.status(), false, false};
    absl::Status received = Receive();
    if (!received.ok()) {
      // The sender may be waiting for either side.
      ::shutdown(ends_.socket, SHUT_RDWR);
      stop_.Signal();
    }
    sender->Join();
    // Without an output the sender was stopped by that.
    result_.status = result_.output_failed || sent_.ok() ? received : sent_;
    return result_;
  }

 private:
  // On a thread of its own, until the input ends or nobody takes it any more.
  absl::Status Send() {
    if (ends_.input < 0) {
      ::shutdown(ends_.socket, SHUT_WR);
      return absl::OkStatus();
    }
    std::string buffer(kBufferBytes, '\0');
    for (;;) {
      pollfd fds[] = {{ends_.input, POLLIN, 0},
                      {stop_.fd(), POLLIN, 0},
                      {ends_.socket, 0, 0}};
      if (::poll(fds, 3, -1) < 0) continue;  // EINTR.
      if (fds[1].revents != 0 || fds[2].revents != 0) return absl::OkStatus();
      const ssize_t size = ::read(ends_.input, buffer.data(), buffer.size());
      if (size == 0) {
        result_.input_ended = true;
        ::shutdown(ends_.socket, SHUT_WR);
        return absl::OkStatus();
      }
      if (size > 0) {
        absl::Status sent = SendAll({buffer.data(), static_cast<size_t>(size)});
        if (!sent.ok()) return sent;
      } else if (errno != EINTR && errno != EAGAIN) {
        absl::Status failure = Failure("standard input", errno);
        ::shutdown(ends_.socket, SHUT_WR);
        return failure;
      }
    }
  }

  absl::Status SendAll(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent =
          ::send(ends_.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return absl::UnavailableError(
            "the guest stopped reading before the end of standard input");
      } else if (errno != EINTR) {
        return Failure("sending to the guest", errno);
      }
    }
    return absl::OkStatus();
  }

  // To the end of what comes.
  absl::Status Receive() {
    std::string buffer(kBufferBytes, '\0');
    for (;;) {
      bool end = false;
      const ssize_t size = ReceivePart(buffer, end);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == ECONNRESET) {
        return absl::UnavailableError(
            "the guest closed the connection without reading all of it");
      }
      if (size < 0) return Failure("receiving from the guest", errno);
      if (end) break;
      if (!WriteAll(ends_.output, {buffer.data(), static_cast<size_t>(size)})) {
        return OutputFailed();
      }
    }
    if (ends_.close_output && ::close(ends_.output) != 0) return OutputFailed();
    return absl::OkStatus();
  }

  absl::Status OutputFailed() {
    const int error = errno;
    result_.output_failed = true;
    return Failure("standard output", error);
  }

  // As recv(2), but says what is the end: a message may be empty.
  ssize_t ReceivePart(std::string& buffer, bool& end) const {
    if (!ends_.messages) {
      const ssize_t size =
          ::recv(ends_.socket, buffer.data(), buffer.size(), 0);
      end = size == 0;
      return size;
    }
    // Waits for it; it must not be cut off.
    const ssize_t next = ::recv(ends_.socket, nullptr, 0, MSG_PEEK | MSG_TRUNC);
    if (next > static_cast<ssize_t>(buffer.size())) {
      buffer.resize(static_cast<size_t>(next));
    }
    // Only a message has a sender, whom SO_PASSCRED lets us see.
    // There is no room for anything else that might come along.
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control;
    iovec vector = {buffer.data(), buffer.size()};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(ends_.socket, &message, MSG_CMSG_CLOEXEC);
    end = size == 0 && message.msg_controllen == 0;
    return size;
  }

  const RelayEnds ends_;
  const EventFd stop_;
  // The sender's until it is joined: sent_ and input_ended.
  absl::Status sent_;
  RelayResult result_;
};

}  // namespace

RelayResult Relay(const RelayEnds& ends) {
  absl::StatusOr<EventFd> stop = EventFd::Create();
  if (!stop.ok()) return {stop.status(), false, false};
  return Relayer(ends, *std::move(stop)).Run();
}

}  // namespace annulus::cli
