#ifndef CLI_VSOCK_LISTEN_H_
#define CLI_VSOCK_LISTEN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "cli/vsock_cleanup.h"
#include "devices/virtio/vsock/backend/bound_socket.h"

namespace annulus::cli {

struct ListenOptions {
  std::string path;  // Of the virtual machine's socket device.
  uint32_t port = 0;
  bool seqpacket = false;
};

// A port of the host (CID 2) at which guests can connect. Its file goes with
// it, also by SIGINT and the like.
//
// Threads: thread-compatible.
class GuestListener {
 public:
  // Errors are one line: InvalidArgument for a path that cannot be one,
  // AlreadyExists where somebody else listens or another file is.
  static absl::StatusOr<GuestListener> Open(const ListenOptions& options);

  // A blocking socket to the next guest's program; waits for one, or for the
  // timeout (DeadlineExceeded), if it is not 0.
  absl::StatusOr<UniqueFd> Accept(absl::Duration timeout);

 private:
  GuestListener(std::unique_ptr<RemoveOnSignal> cleanup,
                virtio::BoundSocket socket, std::string name)
      : cleanup_(std::move(cleanup)),
        socket_(std::move(socket)),
        name_(std::move(name)) {}

  std::unique_ptr<RemoveOnSignal> cleanup_;  // Null for an abstract name.
  virtio::BoundSocket socket_;
  std::string name_;  // Quoted.
};

}  // namespace annulus::cli

#endif  // CLI_VSOCK_LISTEN_H_
