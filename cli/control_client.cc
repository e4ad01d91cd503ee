#include "cli/control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::cli {
namespace {

constexpr absl::Duration kConnectRetry = absl::Milliseconds(20);

// When `timeout` is over, of MonotonicNanoseconds().
int64_t EndOf(absl::Duration timeout) {
  const int64_t now = MonotonicNanoseconds();
  const int64_t most = INT64_MAX - now;
  return timeout >= absl::Nanoseconds(most)
             ? INT64_MAX
             : now + absl::ToInt64Nanoseconds(timeout);
}

// False: it came to its end.
bool Await(int fd, short events, int64_t end_ns) {
  for (;;) {
    const int64_t left = end_ns - MonotonicNanoseconds();
    if (left <= 0) return false;
    constexpr int64_t kLongest = 1'000'000;  // Milliseconds.
    pollfd waiting = {.fd = fd, .events = events, .revents = 0};
    const int ready =
        ::poll(&waiting, 1,
               static_cast<int>(std::min(left / 1'000'000 + 1, kLongest)));
    if (ready > 0) return true;
  }
}

}  // namespace

absl::StatusOr<ControlClient> ControlClient::Connect(absl::string_view path,
                                                     absl::Duration timeout) {
  ANNULUS_ASSIGN_OR_RETURN(const virtio::UnixAddress address,
                           virtio::UnixAddress::Create(path));
  const int64_t end_ns = EndOf(timeout);
  UniqueFd socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, "opening a socket");
  while (::connect(socket.get(), address.get(), address.size()) != 0) {
    const std::string quoted = virtio::QuotedPath(path);
    // A full backlog: of many clients, or of a process that does not accept.
    if (errno == EAGAIN) {
      if (MonotonicNanoseconds() >= end_ns) {
        return absl::DeadlineExceededError(
            absl::StrCat(quoted, ": nobody accepts the connection"));
      }
      ::usleep(
          static_cast<useconds_t>(absl::ToInt64Microseconds(kConnectRetry)));
      continue;
    }
    if (errno == EINTR) continue;
    return absl::ErrnoToStatus(
        errno, absl::StrCat(quoted, errno == ECONNREFUSED
                                        ? ": no virtual machine listens there"
                                        : ""));
  }
  return ControlClient(std::move(socket));
}

absl::StatusOr<proto::ControlReply> ControlClient::Call(
    const proto::ControlRequest& request, absl::Duration timeout) {
  // One that refuses us says why, and does not listen.
  const absl::Status sent = Send(request);
  ANNULUS_ASSIGN_OR_RETURN(std::optional<proto::ControlReply> reply,
                           Receive(timeout));
  if (!reply.has_value()) {
    ANNULUS_RETURN_IF_ERROR(sent);
    return absl::UnavailableError("the machine has closed the connection");
  }
  ANNULUS_RETURN_IF_ERROR(StatusOf(*reply));
  if (reply->id() != request.id()) {
    return absl::InternalError("what came is the reply to something else");
  }
  return *std::move(reply);
}

absl::Status ControlClient::Send(const proto::ControlRequest& request) {
  std::string bytes;
  AppendDelimited(request, bytes);
  // It fits into the socket's buffer, unless many wait there.
  for (absl::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent =
        ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      return absl::UnavailableError("the machine does not take requests");
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno, "sending a request");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<proto::ControlReply>> ControlClient::Receive(
    absl::Duration timeout) {
  const int64_t end_ns = EndOf(timeout);
  for (;;) {
    ANNULUS_ASSIGN_OR_RETURN(std::optional<proto::ControlReply> reply,
                             NextReply(reader_));
    if (reply.has_value()) return reply;
    if (!Await(socket_.get(), POLLIN, end_ns)) {
      return absl::DeadlineExceededError("the machine does not answer");
    }
    std::array<char, 16384> bytes;
    const ssize_t got =
        ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got > 0) {
      reader_.Append({bytes.data(), static_cast<size_t>(got)});
    } else if (got == 0 || errno == ECONNRESET) {
      if (reader_.pending() == 0) return std::optional<proto::ControlReply>();
      return absl::DataLossError("the connection ended within a reply");
    } else if (errno != EAGAIN && errno != EINTR) {
      return absl::ErrnoToStatus(errno, "receiving a reply");
    }
  }
}

absl::StatusOr<std::optional<proto::ControlReply>> NextReply(
    DelimitedReader& reader) {
  const std::optional<absl::string_view> message = reader.Next();
  if (!message.has_value()) {
    ANNULUS_RETURN_IF_ERROR(reader.status());
    return std::optional<proto::ControlReply>();
  }
  proto::ControlReply reply;
  if (!reply.ParseFromArray(message->data(),
                            static_cast<int>(message->size()))) {
    return absl::InvalidArgumentError("what came is no reply");
  }
  return reply;
}

absl::Status StatusOf(const proto::ControlReply& reply) {
  if (reply.code() == proto::OK) return absl::OkStatus();
  // The codes are Abseil's, too; of others it makes kUnknown.
  return absl::Status(static_cast<absl::StatusCode>(reply.code()),
                      absl::CHexEscape(reply.error()));
}

}  // namespace annulus::cli
