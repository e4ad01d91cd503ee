#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_DATAGRAMS_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_DATAGRAMS_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"

namespace annulus::virtio {

// Datagrams of AF_UNIX. The device has PATH_dgram, a program of the host that
// wants port N has PATH_dgram_<N>. A datagram between them begins with a line
// "PORT <n>\n", the guest's port: whereto in one direction, wherefrom in the
// other. The payload follows.
//
// A program may send without having a name, or with another one: it is port 0
// then, and cannot be answered. Its name has to be spelled as PATH is.
//
// Datagrams that a program does not take are lost, and while it does not take
// them they occupy room to send that all programs share (SO_SNDBUF).
//
// Threads: as HostDatagrams.
// Trust: whoever may write to PATH_dgram may send anything.
// Allocation: none after Create().
class UnixDatagrams final : public HostDatagrams {
 public:
  // More vectors than these, and the line's, the host does not take: a datagram
  // that needs more is lost.
  static constexpr size_t kMaxVectors = 1023;

  // `fd` is bound to PATH_dgram, non-blocking, and outlives it.
  static absl::StatusOr<std::unique_ptr<UnixDatagrams>> Create(
      int fd, const std::string& path);

  int fd() const override { return fd_; }
  std::optional<size_t> Receive(absl::Span<const iovec> vectors,
                                Ports& ports) override;
  bool Send(const Ports& ports, absl::Span<const iovec> vectors) override;

 private:
  UnixDatagrams(int fd, const UnixAddress& prefix)
      : fd_(fd), host_prefix_(prefix) {}

  uint32_t HostPort(absl::string_view name) const;

  const int fd_;
  const UnixAddress host_prefix_;  // PATH_dgram_
  std::array<iovec, kMaxVectors + 1> receive_vectors_;
  std::array<iovec, kMaxVectors + 1> send_vectors_;
};

// The line at the beginning of a datagram.
struct DatagramLine {
  static constexpr size_t kMaxBytes = 32;  // With its line feed.

  size_t bytes = 0;
  uint32_t port = 0;
};

// Hot. Nothing: the datagram does not begin with such a line.
std::optional<DatagramLine> ParseDatagramLine(absl::string_view datagram);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_DATAGRAMS_H_
