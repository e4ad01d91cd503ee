#ifndef DEVICES_VHOST_USER_BACK_END_LISTENER_TESTING_H_
#define DEVICES_VHOST_USER_BACK_END_LISTENER_TESTING_H_

#include <sys/socket.h>

#include <string>

#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/socket_testing.h"

namespace annulus::vhost_user {

// For tests: a listening socket of a name that nobody else has.
struct TestListener {
  UniqueFd Connect() const { return virtio::ConnectTo(path, SOCK_STREAM); }

  const virtio::SocketDirectory directory = {};
  const std::string path = directory.Path("s");
  const UniqueFd fd = virtio::ListenAt(path, SOCK_STREAM, 8);
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_LISTENER_TESTING_H_
