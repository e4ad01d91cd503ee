// FrontEndDevice: how it comes to a connection.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::vhost_user {
namespace {

absl::StatusOr<UniqueFd> Dial(const std::string& path) {
  if (path.empty()) return absl::UnavailableError("there is no connection");
  ANNULUS_ASSIGN_OR_RETURN(const virtio::UnixAddress address,
                           virtio::UnixAddress::Create(path));
  // Where the listener's backlog is full, it is tried again later.
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::connect(fd.get(), address.get(), address.size()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("connecting to ", path));
  }
  return fd;
}

absl::StatusOr<UniqueFd> Accept(int listener) {
  UniqueFd fd(
      ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "accepting a back-end");
  return fd;
}

}  // namespace

absl::StatusOr<UniqueFd> FrontEndDevice::NextSocket() const {
  return options_.listener.valid() ? Accept(options_.listener.get())
                                   : Dial(options_.path);
}

absl::StatusOr<std::unique_ptr<FrontEndDevice::Connection>>
FrontEndDevice::FirstConnection() {
  if (options_.connection.valid()) {
    return Connect(std::move(options_.connection));
  }
  if (!options_.listener.valid()) {
    ANNULUS_ASSIGN_OR_RETURN(UniqueFd socket, NextSocket());
    return Connect(std::move(socket));
  }
  const int listener = options_.listener.get();
  // Whoever was seen to come may have gone before accept4().
  if (::fcntl(listener, F_SETFL, ::fcntl(listener, F_GETFL) | O_NONBLOCK) !=
      0) {
    return absl::ErrnoToStatus(errno, "looking at the socket that listens");
  }
  const int64_t end =
      MonotonicNanoseconds() + absl::ToInt64Nanoseconds(options_.first_wait);
  bool said = false;
  for (int64_t left = end - MonotonicNanoseconds(); left > 0;
       left = end - MonotonicNanoseconds()) {
    absl::StatusOr<UniqueFd> socket = NextSocket();
    if (socket.ok()) {
      auto connection = Connect(*std::move(socket));
      // One that only looked whether somebody listens is none.
      if (!absl::IsOutOfRange(connection.status())) return connection;
      continue;
    }
    if (!absl::IsUnavailable(socket.status())) return socket.status();
    if (!said) LogLine(LogSeverity::kWarning, "waits for its back-end");
    said = true;
    pollfd fd = {.fd = listener, .events = POLLIN, .revents = 0};
    const absl::Duration wait =
        absl::Ceil(absl::Nanoseconds(left), absl::Milliseconds(1));
    if (::poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) < 0 &&
        errno != EINTR) {
      return absl::ErrnoToStatus(errno, "waiting for a back-end");
    }
  }
  return absl::DeadlineExceededError(
      absl::StrCat("no back-end has connected for ",
                   absl::FormatDuration(options_.first_wait)));
}

absl::StatusOr<std::unique_ptr<FrontEndDevice::Connection>>
FrontEndDevice::Connect(UniqueFd socket) {
  std::unique_ptr<Connection> connection(new Connection{
      .channel = BackEndChannel(std::move(socket), stop_, options_.patience),
      .offer = {}});
  BackEndChannel& channel = connection->channel;
  requests_.reset();
  ANNULUS_ASSIGN_OR_RETURN(connection->offer,
                           Negotiate(channel, type_->config_bytes()));
  if (connection->offer.Has(ProtocolFeature::kBackendReq)) {
    std::array<int, 2> ends;
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) !=
        0) {
      return absl::ErrnoToStatus(errno, "making a pair of sockets");
    }
    requests_.emplace(UniqueFd(ends[0]));
    const UniqueFd theirs(ends[1]);
    Message request;
    request.request = static_cast<uint32_t>(Request::kSetBackendReqFd);
    ANNULUS_RETURN_IF_ERROR(channel.Tell(std::move(request), {theirs.get()}));
  }
  connections_.fetch_add(1, std::memory_order_relaxed);
  return connection;
}

}  // namespace annulus::vhost_user
