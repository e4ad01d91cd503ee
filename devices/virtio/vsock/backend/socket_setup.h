#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_SETUP_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_SETUP_H_

#include <cstdint>

namespace annulus::virtio {

// Prepares a connected AF_UNIX socket for being the host's end of a connection
// of `type`. Room to send (of AF_UNIX only SO_SNDBUF counts, not SO_RCVBUF):
// for a stream some, since the device keeps what does not fit; for messages
// that of the largest, `buf_alloc` bytes, since they go whole or not at all. It
// is never made smaller than the host's default. Out-of-band data, which vsock
// does not know, is data like any other.
void PrepareSocket(int fd, uint16_t type, uint32_t buf_alloc);

// As much room to send as the host allows, up to `bytes`.
void GrowSendBuffer(int fd, uint32_t bytes);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_SETUP_H_
