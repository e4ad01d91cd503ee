#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_SOCKET_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_SOCKET_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::virtio {

// The system calls on the non-blocking AF_UNIX socket of a connection, with
// their errors sorted by what they mean for it. No call blocks or raises a
// signal.
//
// Threads: any; one that sends and one that receives at a time.
// Trust: the other end belongs to a program of the host, which may do anything.
// Allocation: none.

enum class HostIo : uint8_t {
  kDone,
  kAgain,   // Not now: it is full, or empty.
  kEnd,     // Sending: nobody reads any more. Receiving: nobody writes.
  kFailed,  // The socket is of no use.
};

// Hot. What was sent is added to `sent`; less than all only for kAgain and a
// stream.
HostIo SendToHost(int fd, absl::Span<const iovec> vectors, size_t bytes,
                  size_t& sent);

// Hot. REQUIRES: `vectors` have room for at least one byte.
HostIo ReceiveFromHost(int fd, absl::Span<const iovec> vectors,
                       size_t& received);

// The size of the next message of a SOCK_SEQPACKET, which stays where it is. An
// empty one, which looks like the end, is told from it. Cold for these.
HostIo PeekMessage(int fd, size_t& size);

// Takes it, an empty one, away.
void SkipMessage(int fd);

// Whether the other end of a SOCK_STREAM has called shutdown(SHUT_RD), of which
// no event tells: kDone or kEnd. (That of a SOCK_SEQPACKET is found with the
// next message: nothing is a message too, and what cannot be read, and is
// therefore not sent, makes the socket writable again, for ever.)
HostIo ProbeHostReads(int fd);

// Whether the other end is closed, rather than shut down for writing.
bool HostHungUp(int fd);

// Whether the other end, which is closed, sent nothing before.
bool HostSaidNothing(int fd);

// Of a connecting socket that is writable: whether it is connected now.
bool HostConnected(int fd);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_HOST_SOCKET_H_
