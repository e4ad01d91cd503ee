#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SLOT_PLACEMENT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SLOT_PLACEMENT_H_

#include <cstdint>

#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/receive/receive_window.h"

namespace annulus::virtio {

// Hot. Header split, method Q: the header in a slot of a header queue, of
// `slot_bytes`, the payload as a frame of its own.
//
//   slot | header |        buffers 0.. | virtio-net header | payload |
//
// Whether a slot is free is HeaderSlots' to say.
// REQUIRES: the window is not empty.
inline Placement PlaceBesideSlot(ReceiveWindow& window, uint32_t slot_bytes,
                                 uint32_t header_bytes,
                                 uint32_t payload_bytes) {
  if (header_bytes > slot_bytes) return kHeaderTooBig;
  if (uint64_t{window.header_bytes()} + payload_bytes > window.room()) {
    return kNoSpace;
  }
  return PlaceWhole(window, payload_bytes);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SLOT_PLACEMENT_H_
