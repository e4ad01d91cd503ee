#include "vmm/vhost_user_resources.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/socket_option.h"
#include "base/status_macros.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus {
namespace {

absl::Status Failed(int error, absl::string_view field,
                    absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(field, ": ", what));
}

absl::StatusOr<UniqueFd> ConnectTo(const std::string& field,
                                   const std::string& path) {
  ANNULUS_ASSIGN_OR_RETURN(const virtio::UnixAddress address,
                           virtio::UnixAddress::Create(path));
  // One that does not accept, since it is busy or stopped, is not waited for.
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::connect(fd.get(), address.get(), address.size()) != 0) {
    return Failed(errno, field, path);
  }
  return fd;
}

absl::Status Listen(const std::string& field, const std::string& path,
                    VhostUserResources& resources) {
  absl::StatusOr<virtio::BoundSocket> socket =
      virtio::BoundSocket::Listen(SOCK_STREAM, path);
  if (!socket.ok()) {
    return absl::Status(socket.status().code(),
                        absl::StrCat(field, ": ", socket.status().message()));
  }
  resources.listener_file = *std::move(socket);
  resources.listener.reset(
      ::fcntl(resources.listener_file.fd(), F_DUPFD_CLOEXEC, 3));
  if (resources.listener.valid()) return absl::OkStatus();
  return Failed(errno, field, path);
}

}  // namespace

absl::Status TakeSocket(const std::string& field, uint32_t number,
                        UniqueFd& listener, UniqueFd& connection) {
  const int fd = static_cast<int>(number);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return Failed(errno, field, absl::StrCat(number));
  }
  const bool stream = SocketOption(fd, SO_DOMAIN) == AF_UNIX &&
                      SocketOption(fd, SO_TYPE) == SOCK_STREAM;
  const bool listens = stream && SocketOption(fd, SO_ACCEPTCONN) == 1;
  if (!listens && !(stream && IsConnected(fd))) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", number,
                     " is not a unix stream socket that listens or is "
                     "connected"));
  }
  (listens ? listener : connection).reset(fd);
  return absl::OkStatus();
}

absl::StatusOr<VhostUserResources> OpenVhostUser(
    const std::string& at, const VhostUserConfig& vhost_user) {
  VhostUserResources resources;
  const std::string field = at + ".vhost_user.socket";
  if (vhost_user.fd != 0) {
    ANNULUS_RETURN_IF_ERROR(TakeSocket(at + ".vhost_user.fd", vhost_user.fd,
                                       resources.listener,
                                       resources.connection));
  } else if (vhost_user.listen) {
    ANNULUS_RETURN_IF_ERROR(Listen(field, vhost_user.socket, resources));
  } else if (vhost_user.given()) {
    ANNULUS_ASSIGN_OR_RETURN(resources.connection,
                             ConnectTo(field, vhost_user.socket));
  }
  return resources;
}

}  // namespace annulus
