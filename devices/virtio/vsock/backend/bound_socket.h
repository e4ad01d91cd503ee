#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_BOUND_SOCKET_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_BOUND_SOCKET_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// An AF_UNIX socket under a name of its own, which it takes away with it.
//
// A socket that nobody has open any more, as a process that was killed leaves
// behind, is replaced. Anything else at the path stays, and is an error: a file
// of another kind, or a socket in use. Of two processes that bind the same
// path at the very same moment, the second may replace the first.
//
// Who may connect is up to the file's permissions, which need write: those that
// the umask leaves, and those of its directory. An abstract name ('@') has no
// permissions: every process of the network namespace may connect.
//
// Threads: thread-compatible.
class BoundSocket {
 public:
  // `type` as of socket(2), which is made non-blocking and close-on-exec.
  // AlreadyExists: see above; else what the host refuses.
  static absl::StatusOr<BoundSocket> Bind(int type, absl::string_view path);
  // The same, listening.
  static absl::StatusOr<BoundSocket> Listen(int type, absl::string_view path);

  BoundSocket() = default;  // None.
  BoundSocket(BoundSocket&& other) noexcept;
  BoundSocket& operator=(BoundSocket&& other) noexcept;
  // Removes the file, unless it is another by now.
  ~BoundSocket() { Remove(); }

  int fd() const { return fd_.get(); }

 private:
  void Remove();

  UniqueFd fd_;
  std::string path_;  // To be removed; empty: nothing.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_BOUND_SOCKET_H_
