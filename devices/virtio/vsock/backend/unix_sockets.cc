#include "devices/virtio/vsock/backend/unix_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/hand_over.h"
#include "devices/virtio/vsock/backend/socket_type.h"
#include "devices/virtio/vsock/backend/unix_address.h"

namespace annulus::virtio {
namespace {

constexpr absl::string_view kLongestPort = "_4294967295";
constexpr absl::string_view kSeqpacket = "_seqpacket";
constexpr absl::string_view kDgram = "_dgram";
constexpr absl::string_view kLongestDgramPort = "_dgram_4294967295";

absl::Status CloseOnExec(int fd) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(
      errno, absl::StrCat("setting FD_CLOEXEC of descriptor ", fd));
}

// So that passing the wrong descriptor is found now and not by a caller.
absl::Status CheckListener(int fd, uint16_t type) {
  struct {
    int domain = 0;
    int type = 0;
    int listens = 0;
  } is;
  socklen_t size = sizeof(int);
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &is.domain, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &is.type, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is.listens, &size) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is no socket"));
  }
  const int wanted = SocketType(type);
  if (is.domain != AF_UNIX || is.type != wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is no unix socket of type ",
                     wanted == SOCK_STREAM ? "SOCK_STREAM" : "SOCK_SEQPACKET"));
  }
  if (is.listens == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is a socket that does not listen"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UnixSockets> UnixSockets::Open(UnixSocketOptions options) {
  UnixSockets sockets;
  if (!options.path.empty()) {
    ANNULUS_RETURN_IF_ERROR(UnixAddress::Create(options.path).status());
    ANNULUS_RETURN_IF_ERROR(CheckPathLength(
        options.path, options.dgram ? kLongestDgramPort : kLongestPort));
    ANNULUS_RETURN_IF_ERROR(sockets.OpenPath(options));
  } else if (options.dgram) {
    return absl::InvalidArgumentError(
        "datagrams of the host need the path of a socket");
  } else if (options.listener.valid()) {
    ANNULUS_RETURN_IF_ERROR(sockets.Adopt(std::move(options.listener),
                                          kVsockTypeStream, std::nullopt));
  }
  if (options.host.valid()) {
    ANNULUS_RETURN_IF_ERROR(CheckHandOverSocket(options.host.get()));
    ANNULUS_RETURN_IF_ERROR(CloseOnExec(options.host.get()));
    sockets.host_ = std::move(options.host);
  }
  for (UnixPortMap& map : options.ports) {
    ANNULUS_RETURN_IF_ERROR(sockets.AddPort(std::move(map)));
  }
  return sockets;
}

absl::Status UnixSockets::OpenPath(UnixSocketOptions& options) {
  path_ = options.path;
  if (options.listener.valid()) {
    ANNULUS_RETURN_IF_ERROR(
        Adopt(std::move(options.listener), kVsockTypeStream, std::nullopt));
  } else {
    ANNULUS_RETURN_IF_ERROR(Listen(kVsockTypeStream, path_, std::nullopt));
  }
  if (options.seqpacket) {
    ANNULUS_RETURN_IF_ERROR(Listen(
        kVsockTypeSeqpacket, absl::StrCat(path_, kSeqpacket), std::nullopt));
  }
  if (options.dgram) {
    ANNULUS_ASSIGN_OR_RETURN(
        datagrams_, BoundSocket::Bind(SOCK_DGRAM, absl::StrCat(path_, kDgram)));
  }
  return absl::OkStatus();
}

absl::Status UnixSockets::AddPort(UnixPortMap map) {
  if (!HasConnections(map.type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("port ", map.port, ": type ", map.type,
                     " is neither stream nor seqpacket"));
  }
  if (map.path.empty() == !map.fd.valid()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "port ", map.port, ": needs either a path or a descriptor"));
  }
  if (!map.to_guest) return AddHostPort(std::move(map));
  if (map.fd.valid()) return Adopt(std::move(map.fd), map.type, map.port);
  return Listen(map.type, map.path, map.port);
}

absl::Status UnixSockets::AddHostPort(UnixPortMap map) {
  if (map.fd.valid()) {
    ANNULUS_RETURN_IF_ERROR(CheckHandOverSocket(map.fd.get()));
    ANNULUS_RETURN_IF_ERROR(CloseOnExec(map.fd.get()));
  } else {
    ANNULUS_RETURN_IF_ERROR(UnixAddress::Create(map.path).status());
  }
  const HostPort* const other = FindHostPort(map.type, map.port);
  if (other != nullptr) {
    const auto name = [](const std::string& path, const UniqueFd& fd) {
      return fd.valid() ? absl::StrCat("descriptor ", fd.get())
                        : QuotedPath(path);
    };
    return absl::InvalidArgumentError(absl::StrCat(
        "port ", map.port, " of the host is given both ",
        name(other->path, other->fd), " and ", name(map.path, map.fd)));
  }
  host_ports_.push_back(
      {map.port, map.type, std::move(map.path), std::move(map.fd)});
  return absl::OkStatus();
}

absl::Status UnixSockets::Listen(uint16_t type, const std::string& path,
                                 std::optional<uint32_t> guest_port) {
  UnixListener listener;
  ANNULUS_ASSIGN_OR_RETURN(listener.bound,
                           BoundSocket::Listen(SocketType(type), path));
  listener.type = type;
  listener.guest_port = guest_port;
  listener.name = QuotedPath(path);
  listeners_.push_back(std::move(listener));
  return absl::OkStatus();
}

absl::Status UnixSockets::Adopt(UniqueFd fd, uint16_t type,
                                std::optional<uint32_t> guest_port) {
  ANNULUS_RETURN_IF_ERROR(CheckListener(fd.get(), type));
  ANNULUS_RETURN_IF_ERROR(CloseOnExec(fd.get()));
  // For all who share the socket: if another one accepts first, this one must
  // not wait for the next caller.
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("setting O_NONBLOCK of descriptor ", fd.get()));
  }
  UnixListener listener;
  listener.name = absl::StrCat("descriptor ", fd.get());
  listener.passed = std::move(fd);
  listener.type = type;
  listener.guest_port = guest_port;
  listeners_.push_back(std::move(listener));
  return absl::OkStatus();
}

std::optional<std::string> UnixSockets::HostPath(uint16_t type,
                                                 uint32_t port) const {
  const HostPort* const host = FindHostPort(type, port);
  if (host != nullptr) {
    if (host->fd.valid()) return std::nullopt;
    return host->path;
  }
  if (host_.valid() || path_.empty()) return std::nullopt;
  return absl::StrCat(path_, "_", port);
}

int UnixSockets::HandOverSocket(uint16_t type, uint32_t port) const {
  const HostPort* const host = FindHostPort(type, port);
  return host != nullptr ? host->fd.get() : host_.get();
}

const UnixSockets::HostPort* UnixSockets::FindHostPort(uint16_t type,
                                                       uint32_t port) const {
  for (const HostPort& host : host_ports_) {
    if (host.port == port && host.type == type) return &host;
  }
  return nullptr;
}

}  // namespace annulus::virtio
