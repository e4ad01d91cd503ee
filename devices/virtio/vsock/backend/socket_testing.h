#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TESTING_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TESTING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// Test helpers that play programs of the host. What the host refuses makes the
// test fail.

// A directory of its own whose name is short, as sockets need it.
class SocketDirectory {
 public:
  SocketDirectory();
  ~SocketDirectory();

  const std::string& path() const { return path_; }
  std::string Path(absl::string_view name) const;
  // The names of all files there.
  std::vector<std::string> Files() const;

 private:
  std::string path_;
};

// Blocking sockets. `type` as of socket(2).
UniqueFd ConnectTo(const std::string& path, int type);
UniqueFd ListenAt(const std::string& path, int type, int backlog);
UniqueFd BindTo(const std::string& path, int type);
// errno of connecting to `path`; 0: somebody listens.
int ConnectError(const std::string& path, int type);

void SendText(int fd, absl::string_view text);
// One read of at most 64 KiB; empty at the end.
std::string ReceiveText(int fd);
// Up to the end of the file.
std::string ReceiveAll(int fd);

// What poll(2) says at once of `fd` being readable.
bool Readable(int fd);
// Blocks until it is.
void AwaitReadable(int fd);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TESTING_H_
