#include "vmm/vsock_resources.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/socket_option.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/hand_over.h"

namespace annulus {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

absl::Status At(absl::string_view field, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

// An invalid UniqueFd for 0.
absl::StatusOr<UniqueFd> Duplicate(absl::string_view field, uint32_t number) {
  if (number == 0) return UniqueFd();
  UniqueFd copy(::fcntl(static_cast<int>(number), F_DUPFD_CLOEXEC, 3));
  if (copy.valid()) return copy;
  return absl::ErrnoToStatus(errno, absl::StrCat(field, ": ", number));
}

// This and the next look at the one that was inherited, and not at its
// duplicate, so that the error has the number that the user gave.
absl::StatusOr<UniqueFd> DuplicateListener(absl::string_view field,
                                           uint32_t number, Type type) {
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd copy, Duplicate(field, number));
  if (!copy.valid()) return copy;
  const int fd = static_cast<int>(number);
  const bool stream = type == Type::kStream;
  if (SocketOption(fd, SO_DOMAIN) != AF_UNIX ||
      SocketOption(fd, SO_TYPE) != (stream ? SOCK_STREAM : SOCK_SEQPACKET) ||
      SocketOption(fd, SO_ACCEPTCONN) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", number, " is not a listening unix socket of ",
                     stream ? "SOCK_STREAM" : "SOCK_SEQPACKET"));
  }
  return copy;
}

absl::StatusOr<UniqueFd> DuplicateHandOver(absl::string_view field,
                                           uint32_t number) {
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd copy, Duplicate(field, number));
  if (!copy.valid()) return copy;
  const absl::Status good =
      virtio::CheckHandOverSocket(static_cast<int>(number));
  if (!good.ok()) return At(field, good);
  return copy;
}

absl::StatusOr<virtio::UnixSocketOptions> SocketOptions(
    const VsockConfig& vsock) {
  virtio::UnixSocketOptions options;
  options.path = vsock.socket;
  options.seqpacket = vsock.seqpacket;
  // Without a path, datagrams are between guests alone.
  options.dgram = vsock.dgram && !vsock.socket.empty();
  ANNULUS_ASSIGN_OR_RETURN(
      options.listener,
      DuplicateListener("vsock.socket_fd", vsock.socket_fd, Type::kStream));
  ANNULUS_ASSIGN_OR_RETURN(options.host,
                           DuplicateHandOver("vsock.host_fd", vsock.host_fd));
  for (size_t i = 0; i < vsock.ports.size(); ++i) {
    const VsockPortConfig& port = vsock.ports[i];
    virtio::UnixPortMap map;
    map.port = port.port;
    map.to_guest = port.direction == Direction::kToGuest;
    map.type = port.type == Type::kStream ? virtio::kVsockTypeStream
                                          : virtio::kVsockTypeSeqpacket;
    map.path = port.path;
    const std::string field = absl::StrCat("vsock.ports[", i, "].fd");
    ANNULUS_ASSIGN_OR_RETURN(
        map.fd, map.to_guest ? DuplicateListener(field, port.fd, port.type)
                             : DuplicateHandOver(field, port.fd));
    options.ports.push_back(std::move(map));
  }
  return options;
}

}  // namespace

absl::StatusOr<VsockResources> OpenVsockResources(const VsockConfig& vsock) {
  ANNULUS_ASSIGN_OR_RETURN(VhostUserResources vhost_user,
                           OpenVhostUser("vsock", vsock.vhost_user));
  ANNULUS_ASSIGN_OR_RETURN(virtio::UnixSocketOptions options,
                           SocketOptions(vsock));
  std::shared_ptr<virtio::VsockSwitch> vsock_switch;
  if (!vsock.switch_directory.empty()) {
    auto opened =
        virtio::VsockSwitch::Create({.directory = vsock.switch_directory});
    if (!opened.ok()) return At("vsock.switch_directory", opened.status());
    vsock_switch = *std::move(opened);
  }
  absl::StatusOr<virtio::UnixSockets> sockets =
      virtio::UnixSockets::Open(std::move(options));
  if (!sockets.ok()) return At("vsock", sockets.status());
  return VsockResources{*std::move(sockets), std::move(vsock_switch),
                        std::move(vhost_user)};
}

}  // namespace annulus
