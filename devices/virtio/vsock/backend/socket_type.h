#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TYPE_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TYPE_H_

#include <sys/socket.h>

#include <cstdint>

#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {

// The type of socket(2) for one with connections of the device, which is
// kVsockTypeStream or kVsockTypeSeqpacket.
inline int SocketType(uint16_t type) {
  return type == kVsockTypeSeqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
}

inline bool HasConnections(uint16_t type) {
  return type == kVsockTypeStream || type == kVsockTypeSeqpacket;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_SOCKET_TYPE_H_
