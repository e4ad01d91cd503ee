#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SMALL_BUFFERS_PLACEMENT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SMALL_BUFFERS_PLACEMENT_H_

#include <cstdint>

#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

// Hot. Header split, method C: mergeable buffers of two sizes, small ones for
// headers and others for data.
//
//   small | virtio-net header | header |  data | payload |  small |  data |
//   payload
//
// The next buffer has to be a small one; further small ones among the data
// buffers are used without a byte.
// REQUIRES: the window is not empty, with MRG_RXBUF.
inline Placement PlaceInSmallBuffers(ReceiveWindow& window,
                                     uint32_t header_bytes,
                                     uint32_t payload_bytes) {
  const DescriptorChain& front = window.front();
  if (!window.IsHeaderBuffer(front)) return kNoSpace;
  const uint32_t used = window.header_bytes() + header_bytes;
  if (used > front.writable_bytes()) return kHeaderTooBig;
  if (payload_bytes > window.data_bytes()) return kNoSpace;
  return Spread(window, used, {.buffer = 1, .data_buffers_only = true},
                payload_bytes);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SMALL_BUFFERS_PLACEMENT_H_
