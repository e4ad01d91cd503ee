#include "base/socket_option.h"

#include <sys/socket.h>

namespace annulus {

int SocketOption(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool IsConnected(int fd) {
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  void* const address = &peer;
  return ::getpeername(fd, static_cast<sockaddr*>(address), &size) == 0;
}

}  // namespace annulus
