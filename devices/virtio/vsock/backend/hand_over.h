#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// What goes with a connection of the guest that is handed over: one message of
// 16 bytes, in the byte order of the host, with one descriptor (SCM_RIGHTS).
struct HandOverMessage {
  uint64_t guest_cid = 0;
  uint32_t port = 0;  // Of the host, which the guest has called.
  uint16_t type = 0;  // kVsockTypeStream or kVsockTypeSeqpacket.
  uint16_t reserved = 0;
};
static_assert(sizeof(HandOverMessage) == 16);

// A hand-over socket is how a process that may neither make a socket nor
// connect one gives a program of the host the connections of its guest: a
// connected AF_UNIX socket of SOCK_SEQPACKET, which keeps apart what belongs to
// one connection and tells when the program is gone. The descriptor of a
// message is the program's end of a new pair of sockets of the message's type.

// InvalidArgument: `fd` is no such socket.
absl::Status CheckHandOverSocket(int fd);

// Makes a pair and hands one end over; returns the other, non-blocking. Never
// blocks. How many connections the program can have waiting is limited by the
// send buffer of `socket`, whose default has room for hundreds.
// `buf_alloc`: see PrepareSocket(). Errors: the host's reason; Unavailable: the
// program takes none now.
// Trust: the program has an open file of its own, and so no power over the
//   flags of ours.
absl::StatusOr<UniqueFd> HandOver(int socket, const HandOverMessage& message,
                                  uint32_t buf_alloc);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_H_
