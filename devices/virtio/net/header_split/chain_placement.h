#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_CHAIN_PLACEMENT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_CHAIN_PLACEMENT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

// Hot. Header split, method A: descriptors of one buffer, d0, d1, and so on.
//
//   d0 | virtio-net header | header | hold |    d1.. | payload |
//
// The hold is what d0 has left; it is not touched, and counts in the used
// length. A frame with no room in the first buffer is not split.
// REQUIRES: the window is not empty.
inline Placement PlaceInChain(ReceiveWindow& window, uint32_t header_bytes,
                              uint32_t payload_bytes) {
  const DescriptorChain& chain = window.front();
  const absl::Span<const ChainElement> elements = chain.writable();
  if (elements.size() < 2) return kNoSpace;
  const uint32_t first = static_cast<uint32_t>(elements[0].span.size());
  if (window.header_bytes() + header_bytes > first) return kHeaderTooBig;
  if (payload_bytes > chain.writable_bytes() - first) return kNoSpace;
  return {.verdict = Placement::Verdict::kFits,
          .buffers = 1,
          .last_bytes = first + payload_bytes,
          .payload = {.buffer = 0, .offset = first}};
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_CHAIN_PLACEMENT_H_
