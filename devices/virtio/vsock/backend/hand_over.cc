#include "devices/virtio/vsock/backend/hand_over.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/socket_option.h"
#include "devices/virtio/vsock/backend/socket_setup.h"
#include "devices/virtio/vsock/backend/socket_type.h"

namespace annulus::virtio {
namespace {

// False, with errno.
bool Send(int socket, const HandOverMessage& message, int descriptor) {
  HandOverMessage copy = message;
  iovec part = {&copy, sizeof(copy)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &descriptor, sizeof(descriptor));
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

}  // namespace

absl::Status CheckHandOverSocket(int fd) {
  // Also one whose other end is gone by now: that is for the guest to see.
  if (SocketOption(fd, SO_DOMAIN) == AF_UNIX &&
      SocketOption(fd, SO_TYPE) == SOCK_SEQPACKET && IsConnected(fd)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("descriptor ", fd,
                   " is not a connected unix socket of SOCK_SEQPACKET, over "
                   "which connections are handed over"));
}

absl::StatusOr<UniqueFd> HandOver(int socket, const HandOverMessage& message,
                                  uint32_t buf_alloc) {
  int ends[2];
  if (::socketpair(AF_UNIX, SocketType(message.type) | SOCK_CLOEXEC, 0, ends) !=
      0) {
    return absl::ErrnoToStatus(errno, "making a pair of unix sockets");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  // Of our end alone: a program expects what accept(2) would have given it.
  if (::fcntl(ours.get(), F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "setting O_NONBLOCK of a socket");
  }
  PrepareSocket(ours.get(), message.type, buf_alloc);
  if (!Send(socket, message, theirs.get())) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("handing over a connection to port ", message.port,
                            " by descriptor ", socket));
  }
  return ours;
}

}  // namespace annulus::virtio
