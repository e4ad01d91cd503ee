#include "devices/virtio/vsock/backend/hand_over_testing.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

namespace annulus::virtio {
namespace {

void EchoToTheEnd(const UniqueFd& guest) {
  char buffer[4096];
  ssize_t count;
  while ((count = ::recv(guest.get(), buffer, sizeof(buffer), 0)) > 0) {
    if (::send(guest.get(), buffer, static_cast<size_t>(count), MSG_NOSIGNAL) !=
        count) {
      return;
    }
  }
}

}  // namespace

UniqueFd TakeHandedOver(const UniqueFd& socket, HandOverMessage& message) {
  HandOverMessage received;
  iovec part = {&received, sizeof(received)};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t bytes = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
  const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  if (bytes != sizeof(received) || rights == nullptr ||
      rights->cmsg_len != CMSG_LEN(sizeof(int)) ||
      (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return UniqueFd();
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
  message = received;
  return UniqueFd(fd);
}

std::vector<HandOverMessage> EchoHandedOver(const UniqueFd& socket,
                                            size_t most) {
  std::vector<HandOverMessage> taken;
  while (taken.size() < most) {
    HandOverMessage message;
    const UniqueFd guest = TakeHandedOver(socket, message);
    if (!guest.valid()) break;
    taken.push_back(message);
    EchoToTheEnd(guest);
  }
  return taken;
}

}  // namespace annulus::virtio
