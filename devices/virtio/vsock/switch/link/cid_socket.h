#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_CID_SOCKET_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_CID_SOCKET_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// InvalidArgument for a directory whose name is too long for the sockets in it;
// else what the host says of it if it is none.
absl::Status CheckSwitchDirectory(const std::string& directory);

// DIRECTORY/<cid>, where other processes connect to reach a guest: a
// SOCK_SEQPACKET socket with the permissions of the directory, so that who may
// make sockets there may connect to them, and nobody else. Who has the CID
// holds a lock of the file DIRECTORY/<cid>.lock, of which the kernel lets go
// when the process ends; a socket without it is stale.
//
// Threads: thread-compatible.
class CidSocket {
 public:
  // Takes the CID; nobody can connect yet. AlreadyExists if another process, or
  // another switch, has it, or if there is something else than a socket.
  static absl::StatusOr<CidSocket> Create(const std::string& directory,
                                          uint64_t cid);

  CidSocket(CidSocket&& other) noexcept;
  CidSocket& operator=(CidSocket&&) = delete;
  ~CidSocket();

  // From now on who connects waits to be accepted.
  absl::Status Listen();
  // Whoever waits is hung up on, and nobody can connect.
  absl::Status StopListening();

  // To be accepted from; -1: it does not listen.
  int fd() const { return listening_ ? socket_.get() : -1; }

 private:
  CidSocket(std::string path, UniqueFd lock);

  absl::Status Bind();

  std::string path_;  // Empty: it was moved from.
  UniqueFd lock_;
  UniqueFd socket_;
  bool listening_ = false;
};

// A non-blocking socket, connected to that of a CID and with as large a send
// buffer as there may be. Never blocks. Invalid if nobody is there, or has no
// time for us.
UniqueFd ConnectToCid(const std::string& directory, uint64_t cid);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_CID_SOCKET_H_
