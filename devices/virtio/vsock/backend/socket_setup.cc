#include "devices/virtio/vsock/backend/socket_setup.h"

#include <sys/socket.h>

#include <algorithm>

#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kMaxStreamBytes = 1 << 20;
// What a message needs beside its bytes.
constexpr uint32_t kMessageOverhead = 32;

}  // namespace

void GrowSendBuffer(int fd, uint32_t bytes) {
  int now = 0;
  socklen_t size = sizeof(now);
  if (::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &size) == 0 &&
      static_cast<uint32_t>(now) >= bytes) {
    return;
  }
  // The kernel takes it twice, for what its own structures need.
  const int wanted = static_cast<int>(bytes / 2 + 1);
  // Both may be refused: then the default has to do.
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) !=
      0) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
  }
}

void PrepareSocket(int fd, uint16_t type, uint32_t buf_alloc) {
  GrowSendBuffer(fd, type == kVsockTypeSeqpacket
                         ? buf_alloc + kMessageOverhead
                         : std::min(2 * buf_alloc, kMaxStreamBytes));
  const int on = 1;
  // Refused by kernels that do not know such data with AF_UNIX.
  ::setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

}  // namespace annulus::virtio
