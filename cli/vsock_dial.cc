#include "cli/vsock_dial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "cli/vsock_deadline.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::cli {
namespace {

using virtio::QuotedPath;
using virtio::UnixAddress;

constexpr absl::Duration kRetryInterval = absl::Milliseconds(100);
constexpr size_t kMaxAnswerBytes = 32;

class Dialer {
 public:
  Dialer(const DialOptions& options, std::string path,
         const UnixAddress& address)
      : options_(options),
        path_(std::move(path)),
        address_(address),
        deadline_ns_(DeadlineAfter(options.timeout)) {}

  absl::StatusOr<UniqueFd> Run() {
    for (;;) {
      absl::StatusOr<UniqueFd> socket = Try();
      if (socket.ok() || !again_) return socket;
      if (options_.timeout <= absl::ZeroDuration() ||
          MonotonicNanoseconds() >= deadline_ns_) {
        return WithTimeout(socket.status());
      }
      absl::SleepFor(kRetryInterval);
    }
  }

 private:
  // Sets again_ if it may go better next time.
  absl::StatusOr<UniqueFd> Try() {
    again_ = false;
    const int type = options_.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return absl::ErrnoToStatus(errno, "opening a socket");
    if (::connect(socket.get(), address_.get(), address_.size()) != 0) {
      return ConnectFailed(errno);
    }
    ANNULUS_RETURN_IF_ERROR(Greet(socket.get()));
    // Nobody else has it, so that this is nobody else's.
    if (::fcntl(socket.get(), F_SETFL, 0) != 0) {
      return absl::ErrnoToStatus(errno, "making a socket blocking");
    }
    return socket;
  }

  absl::Status ConnectFailed(int error) {
    again_ = error == ENOENT || error == ECONNREFUSED || error == EAGAIN;
    absl::string_view hint;
    if (error == ENOENT || error == ECONNREFUSED) {
      hint = "; is the virtual machine running, with this socket?";
    } else if (error == EAGAIN) {
      return absl::UnavailableError(
          absl::StrCat(path_, ": too many callers wait already"));
    } else if (error == EPROTOTYPE) {
      hint = options_.seqpacket ? "; it takes no messages"
                                : "; it is not the socket of a device";
    }
    return absl::UnavailableError(
        absl::StrCat(path_, ": ", std::strerror(error), hint));
  }

  absl::Status Greet(int socket) {
    const std::string line = absl::StrCat("CONNECT ", options_.port, "\n");
    if (::send(socket, line.data(), line.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(line.size())) {
      return Nobody();
    }
    std::string answer;
    ANNULUS_RETURN_IF_ERROR(ReadAnswer(socket, answer));
    // What the number is depends on who made the device.
    if (absl::StartsWith(answer, "OK ") || answer == "OK\n") {
      return absl::OkStatus();
    }
    return absl::UnavailableError(absl::StrCat(
        path_, ": answered \"", absl::CHexEscape(answer),
        "\" where \"OK\" belongs; it is not the socket of a device"));
  }

  // A line, and no byte behind it.
  absl::Status ReadAnswer(int socket, std::string& answer) {
    while (answer.empty() || answer.back() != '\n') {
      if (answer.size() == kMaxAnswerBytes) return absl::OkStatus();
      pollfd poll = {socket, POLLIN, 0};
      const int ready = ::poll(&poll, 1, MillisecondsUntil(deadline_ns_));
      if (ready < 0) continue;  // EINTR.
      if (ready == 0) {
        return WithTimeout(absl::DeadlineExceededError(absl::StrCat(
            path_, ": no answer from port ", options_.port, " of the guest")));
      }
      if (options_.seqpacket) return ReadMessage(socket, answer);
      char byte;
      const ssize_t size = ::recv(socket, &byte, 1, 0);
      if (size == 0 || (size < 0 && errno == ECONNRESET)) return Nobody();
      if (size == 1) answer.push_back(byte);
    }
    return absl::OkStatus();
  }

  absl::Status ReadMessage(int socket, std::string& answer) {
    answer.resize(kMaxAnswerBytes);
    const ssize_t size = ::recv(socket, answer.data(), answer.size(), 0);
    if (size <= 0) return Nobody();
    answer.resize(static_cast<size_t>(size));
    return absl::OkStatus();
  }

  absl::Status Nobody() {
    again_ = true;
    return absl::NotFoundError(absl::StrCat(path_, ": nobody listens on port ",
                                            options_.port, " of the guest"));
  }

  absl::Status WithTimeout(const absl::Status& status) const {
    if (options_.timeout <= absl::ZeroDuration()) return status;
    return absl::Status(
        status.code(),
        absl::StrCat(status.message(), " (tried for ",
                     absl::FormatDuration(options_.timeout), ")"));
  }

  const DialOptions& options_;
  const std::string path_;  // Quoted.
  const UnixAddress address_;
  const int64_t deadline_ns_;
  bool again_ = false;
};

}  // namespace

absl::StatusOr<UniqueFd> DialGuest(const DialOptions& options) {
  const std::string path = options.seqpacket
                               ? absl::StrCat(options.path, "_seqpacket")
                               : options.path;
  ANNULUS_ASSIGN_OR_RETURN(const UnixAddress address,
                           UnixAddress::Create(path));
  return Dialer(options, QuotedPath(path), address).Run();
}

}  // namespace annulus::cli
