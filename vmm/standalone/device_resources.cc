#include "vmm/standalone/device_resources.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "vmm/frame_switches.h"
#include "vmm/vhost_user_resources.h"

namespace annulus {
namespace {

// Whoever can write to it decides what a device does with the guest's buffers.
constexpr mode_t kStateFileMode = 0600;

// For all that other processes have open, and how often it is looked at.
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr absl::Duration kBetweenAttempts = absl::Milliseconds(10);

absl::Status Failed(int error, absl::string_view field,
                    absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(field, ": ", what));
}

absl::Status Below(absl::string_view at, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(at, status.message()));
}

// Another process has what `open` wants, its state file or tap. One that was
// killed keeps them until the last of its threads is gone, which is after the
// first may be seen to be dead. Not for sockets: who listens there would be
// disturbed by each attempt.
bool IsHeld(const absl::Status& status) {
  return absl::IsAlreadyExists(status) || absl::IsUnavailable(status);
}

absl::Status OpenWhenFree(absl::Time deadline,
                          absl::FunctionRef<absl::Status()> open) {
  while (true) {
    absl::Status status = open();
    if (!IsHeld(status) || absl::Now() >= deadline) return status;
    absl::SleepFor(kBetweenAttempts);
  }
}

absl::Status OpenEndpoint(const std::string& at, const DeviceConfig& device,
                          DeviceResources& resources) {
  vhost_user::BackEndEndpoint& endpoint = resources.endpoint;
  if (device.fd != 0) {
    return TakeSocket(at + "fd", device.fd, endpoint.listener,
                      endpoint.connection);
  }
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

absl::Status OpenStateFile(const std::string& field, const std::string& path,
                           UniqueFd& state_file) {
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
  state_file = std::move(file);
  return absl::OkStatus();
}

absl::Status OpenKind(const std::string& at, const DeviceConfig& device,
                      absl::Time deadline, FrameSwitches& switches,
                      DeviceResources& resources) {
  if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
    ANNULUS_RETURN_IF_ERROR(OpenWhenFree(deadline, [&]() -> absl::Status {
      ANNULUS_ASSIGN_OR_RETURN(NetResources opened,
                               OpenNetResources(at + "net", *net, switches));
      resources.kind = std::move(opened);
      return absl::OkStatus();
    }));
    ANNULUS_RETURN_IF_ERROR(
        OpenPcap(at + "net", *net, std::get<NetResources>(resources.kind)));
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
  const absl::Time deadline = absl::Now() + kPatience;
  for (size_t i = 0; i < config.device.size(); ++i) {
    const DeviceConfig& device = config.device[i];
    const std::string at = absl::StrCat("device[", i, "].");
    if (!device.state_file.empty()) {
      ANNULUS_RETURN_IF_ERROR(OpenWhenFree(deadline, [&] {
        return OpenStateFile(at + "state_file", device.state_file,
                             resources[i].state_file);
      }));
    }
    ANNULUS_RETURN_IF_ERROR(
        OpenKind(at, device, deadline, switches, resources[i]));
    // Last: front-ends find a device that is ready.
    ANNULUS_RETURN_IF_ERROR(OpenEndpoint(at, device, resources[i]));
  }
  return resources;
}

}  // namespace annulus
