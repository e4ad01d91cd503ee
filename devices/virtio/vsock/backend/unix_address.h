#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_ADDRESS_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace annulus::virtio {

// The name of an AF_UNIX socket (unix(7)) as system calls take it: a path, or
// an abstract name, which is written with an '@' in place of its first byte.
//
// Threads: a value.
// Allocation: none.
class UnixAddress {
 public:
  // One less than sun_path, since many programs end a path with a null
  // character there; abstract names, with their '@', are held to the same.
  static constexpr size_t kMaxBytes = sizeof(sockaddr_un::sun_path) - 1;

  // InvalidArgument if it is empty, too long or has a null character.
  static absl::StatusOr<UnixAddress> Create(absl::string_view path);

  UnixAddress() = default;  // Unnamed.

  // Hot. Puts a number in decimal behind the name. False: it has no room.
  [[nodiscard]] bool Append(uint32_t number);

  bool abstract() const { return size_ > 0 && address_.sun_path[0] == '\0'; }

  // As in sun_path, so that an abstract one begins with a null character.
  absl::string_view name() const { return {address_.sun_path, size_}; }

  const sockaddr* get() const;
  socklen_t size() const {
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size_);
  }

 private:
  sockaddr_un address_ = {.sun_family = AF_UNIX, .sun_path = {}};
  size_t size_ = 0;  // Of the name.
};

// For system calls that fill an address in.
sockaddr* AsSocketAddress(sockaddr_un& address);

// Hot. The name in an address that a system call filled in, likewise.
absl::string_view UnixName(const sockaddr_un& address, socklen_t size);

// `path` for a message: quoted, and in printable characters.
std::string QuotedPath(absl::string_view path);

// InvalidArgument if `path` has no room for a suffix of so many bytes; the
// message says so with `suffix`, the longest that there will be.
absl::Status CheckPathLength(absl::string_view path, absl::string_view suffix);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_UNIX_ADDRESS_H_
