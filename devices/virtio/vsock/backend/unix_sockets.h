#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_SOCKETS_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_SOCKETS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/bound_socket.h"

namespace annulus::virtio {

// A socket of the host that stands for one port, without a handshake.
struct UnixPortMap {
  uint32_t port = 0;
  bool to_guest = false;  // Callers of it reach the guest's port; else the
                          // guest, calling this port of the host, reaches it.
  uint16_t type = 0;      // kVsockTypeStream or kVsockTypeSeqpacket.
  std::string path;       // Bound if to_guest, connected to if not.
  // Instead of `path`: see `listener` if to_guest; else a hand-over socket, of
  // hand_over.h.
  UniqueFd fd;
};

// How programs of the host and the ports of a guest meet. A path that begins
// with '@' is an abstract name, so are those made of it.
struct UnixSocketOptions {
  // PATH, where callers say which port of the guest they want, and of which
  // all other names are made: PATH_<port>, whom the guest reaches at a port of
  // the host; see below for more. Empty: there are only `ports`.
  std::string path;
  bool seqpacket = false;  // PATH_seqpacket: as PATH, for SOCK_SEQPACKET.
  bool dgram = false;      // PATH_dgram: see UnixDatagrams.
  std::vector<UnixPortMap> ports;
  // Instead of a socket bound to PATH: one that already listens. It becomes
  // non-blocking for whoever else has it open, too: another one may accept from
  // it, and neither is to wait for the next caller then.
  UniqueFd listener;
  // A hand-over socket for all ports of the host that are none of `ports`, of
  // both types: there is no PATH_<port> then.
  UniqueFd host;
};

// A socket at which programs of the host call the guest.
struct UnixListener {
  UniqueFd passed;    // One of the two.
  BoundSocket bound;  //
  uint16_t type = 0;
  std::optional<uint32_t> guest_port;  // Nothing: the caller says it.
  std::string name;                    // For messages.

  int fd() const { return passed.valid() ? passed.get() : bound.fd(); }
};

// The sockets of a device at the host, opened before the guest runs; the files
// among them are removed with it.
//
// Threads: thread-compatible; HostPath() and HandOverSocket() from several at a
//   time.
class UnixSockets {
 public:
  // Binds what the options name. Errors name the path and what is wrong with
  // it: InvalidArgument for one that is too long with its longest suffix, for
  // options that contradict each other and for a descriptor that is no such
  // socket; AlreadyExists as BoundSocket; else what the host refuses.
  static absl::StatusOr<UnixSockets> Open(UnixSocketOptions options);

  absl::Span<const UnixListener> listeners() const { return listeners_; }

  // Where a program listens whom the guest reaches at this port of the host.
  // Nothing: at none.
  std::optional<std::string> HostPath(uint16_t type, uint32_t port) const;

  // The hand-over socket by which a program gets what the guest connects to
  // this port of the host; -1: by none, see HostPath().
  int HandOverSocket(uint16_t type, uint32_t port) const;

  // PATH_dgram, or -1.
  int datagram_fd() const { return datagrams_.fd(); }

  const std::string& path() const { return path_; }

 private:
  struct HostPort {
    uint32_t port = 0;
    uint16_t type = 0;
    std::string path;  // One of the two.
    UniqueFd fd;
  };

  UnixSockets() = default;

  absl::Status OpenPath(UnixSocketOptions& options);
  absl::Status AddPort(UnixPortMap map);
  absl::Status AddHostPort(UnixPortMap map);
  const HostPort* FindHostPort(uint16_t type, uint32_t port) const;
  absl::Status Listen(uint16_t type, const std::string& path,
                      std::optional<uint32_t> guest_port);
  absl::Status Adopt(UniqueFd fd, uint16_t type,
                     std::optional<uint32_t> guest_port);

  std::string path_;
  std::vector<UnixListener> listeners_;
  std::vector<HostPort> host_ports_;
  UniqueFd host_;
  BoundSocket datagrams_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_SOCKETS_H_
