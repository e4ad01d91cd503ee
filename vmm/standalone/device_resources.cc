#include "vmm/standalone/device_resources.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "vmm/frame_switches.h"

namespace annulus {
namespace {

// Whoever can write to it decides what a device does with the guest's buffers.
constexpr mode_t kStateFileMode = 0600;

absl::Status Failed(int error, absl::string_view field,
                    absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(field, ": ", what));
}

absl::Status Below(absl::string_view at, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(at, status.message()));
}

int SocketOption(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool IsConnected(int fd) {
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  void* const any = &peer;
  return ::getpeername(fd, static_cast<sockaddr*>(any), &size) == 0;
}

// Takes `number` over: as long as it stayed open, a front-end could not tell
// that its connection was closed.
absl::Status TakeSocket(const std::string& field, uint32_t number,
                        vhost_user::BackEndEndpoint& endpoint) {
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
  (listens ? endpoint.listener : endpoint.connection).reset(fd);
  return absl::OkStatus();
}

absl::Status OpenEndpoint(const std::string& at, const DeviceConfig& device,
                          DeviceResources& resources) {
  vhost_user::BackEndEndpoint& endpoint = resources.endpoint;
  if (device.fd != 0) return TakeSocket(at + "fd", device.fd, endpoint);
  if (!device.connect.empty()) {
    endpoint.connect_path = device.connect;
    return absl::OkStatus();
  }
  absl::StatusOr<virtio::BoundSocket> socket =
      virtio::BoundSocket::Listen(SOCK_STREAM, device.socket);
  if (!socket.ok()) return Below(at + "socket: ", socket.status());
  resources.socket_file = *std::move(socket);
  endpoint.listener.reset(
      ::fcntl(resources.socket_file.fd(), F_DUPFD_CLOEXEC, 3));
  if (endpoint.listener.valid()) return absl::OkStatus();
  return Failed(errno, at + "socket", device.socket);
}

absl::StatusOr<UniqueFd> OpenStateFile(const std::string& field,
                                       const std::string& path) {
  // O_NONBLOCK: a FIFO must not make the open wait; files ignore it.
  UniqueFd file(::open(path.c_str(),
                       O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                       kStateFileMode));
  struct stat status;
  if (!file.valid() || ::fstat(file.get(), &status) != 0) {
    return Failed(errno, field, path);
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", path, ": not a regular file"));
  }
  // Two devices would each take the other's buffers for its own. The lock goes
  // with the process, however that ends.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failed(errno, field, path);
    return absl::AlreadyExistsError(
        absl::StrCat(field, ": ", path, ": is in use by another device"));
  }
  return file;
}

absl::Status OpenKind(const std::string& at, const DeviceConfig& device,
                      FrameSwitches& switches, DeviceResources& resources) {
  if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
    ANNULUS_ASSIGN_OR_RETURN(NetResources opened,
                             OpenNetResources(at + "net", *net, switches));
    ANNULUS_RETURN_IF_ERROR(OpenPcap(at + "net", *net, opened));
    resources.kind = std::move(opened);
  } else if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
    absl::StatusOr<VsockResources> opened = OpenVsockResources(*vsock);
    if (!opened.ok()) return Below(at, opened.status());
    resources.kind = *std::move(opened);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<DeviceResources>> OpenDeviceResources(
    const DevicesConfig& config) {
  std::vector<DeviceResources> resources(config.device.size());
  FrameSwitches switches;
  for (size_t i = 0; i < config.device.size(); ++i) {
    const DeviceConfig& device = config.device[i];
    const std::string at = absl::StrCat("device[", i, "].");
    if (!device.state_file.empty()) {
      ANNULUS_ASSIGN_OR_RETURN(
          resources[i].state_file,
          OpenStateFile(at + "state_file", device.state_file));
    }
    ANNULUS_RETURN_IF_ERROR(OpenKind(at, device, switches, resources[i]));
    // Last: front-ends find a device that is ready.
    ANNULUS_RETURN_IF_ERROR(OpenEndpoint(at, device, resources[i]));
  }
  return resources;
}

}  // namespace annulus
