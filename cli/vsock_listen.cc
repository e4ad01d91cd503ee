#include "cli/vsock_listen.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/vsock_deadline.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::cli {

absl::StatusOr<GuestListener> GuestListener::Open(
    const ListenOptions& options) {
  if (options.path.empty()) {
    return absl::InvalidArgumentError("the path of a socket is empty");
  }
  const std::string path = absl::StrCat(options.path, "_", options.port);
  const SignalsHeld held;
  ANNULUS_ASSIGN_OR_RETURN(
      virtio::BoundSocket socket,
      virtio::BoundSocket::Listen(
          options.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM, path));
  std::unique_ptr<RemoveOnSignal> cleanup;
  if (path[0] != '@') cleanup = std::make_unique<RemoveOnSignal>(path);
  return GuestListener(std::move(cleanup), std::move(socket),
                       virtio::QuotedPath(path));
}

absl::StatusOr<UniqueFd> GuestListener::Accept(absl::Duration timeout) {
  const int64_t deadline_ns = DeadlineAfter(timeout);
  for (;;) {
    pollfd poll = {socket_.fd(), POLLIN, 0};
    const int ready = ::poll(&poll, 1, MillisecondsUntil(deadline_ns));
    if (ready == 0) {
      return absl::DeadlineExceededError(absl::StrCat(
          name_, ": no guest connected in ", absl::FormatDuration(timeout)));
    }
    if (ready < 0) continue;  // EINTR.
    UniqueFd guest(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (guest.valid()) return guest;
    if (errno != EAGAIN && errno != EINTR) {
      return absl::ErrnoToStatus(errno, absl::StrCat(name_, ": accepting"));
    }
  }
}

}  // namespace annulus::cli
