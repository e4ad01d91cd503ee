#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_BUFFERS_PLACEMENT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_BUFFERS_PLACEMENT_H_

#include <cstdint>

#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/receive/receive_window.h"

namespace annulus::virtio {

// Hot. Header split, method B: mergeable buffers, of which the header has the
// first.
//
//   buffer 0 | virtio-net header | header |    buffers 1.. | payload |
//
// The one exception to the base rules: the first buffer need not be full.
// REQUIRES: the window is not empty, with MRG_RXBUF.
inline Placement PlaceInBuffers(ReceiveWindow& window, uint32_t header_bytes,
                                uint32_t payload_bytes) {
  const uint32_t first = window.front().writable_bytes();
  const uint32_t used = window.header_bytes() + header_bytes;
  if (used > first) return kHeaderTooBig;
  if (payload_bytes > window.room() - first) return kNoSpace;
  return Spread(window, used, {.buffer = 1}, payload_bytes);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_BUFFERS_PLACEMENT_H_
