#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_PLACEMENT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_PLACEMENT_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

// Which buffers of a window a frame takes, and how many bytes of each the
// driver is told of. Each method of header split has a function of its own
// that makes one, in a file of its own; the base rules have PlaceWhole().
struct Placement {
  enum class Verdict : uint8_t {
    kFits,
    kHeaderTooBig,  // For where headers are to go.
    kNoSpace,       // For the payload, or there is no place for headers at all.
  };

  Verdict verdict = Verdict::kNoSpace;
  // The rest holds if it fits. From the window's first buffer on:
  uint32_t buffers = 0;
  // Used lengths of the first of them, if there are several, and of the last.
  // Those between are full, but header buffers are left out where the payload
  // is for data buffers only.
  uint32_t first_bytes = 0;
  uint32_t last_bytes = 0;
  ReceiveWindow::Place payload = {};  // Where it begins.

  bool fits() const { return verdict == Verdict::kFits; }
};

inline constexpr Placement kHeaderTooBig = {
    .verdict = Placement::Verdict::kHeaderTooBig};
inline constexpr Placement kNoSpace = {.verdict = Placement::Verdict::kNoSpace};

// Hot. `bytes` over whole buffers from `payload.buffer` on, behind one with
// `first_bytes` unless that is the first itself. REQUIRES: they have room.
inline Placement Spread(ReceiveWindow& window, uint32_t first_bytes,
                        const ReceiveWindow::Place& payload, uint64_t bytes) {
  for (uint32_t i = payload.buffer;; ++i) {
    const DescriptorChain& chain = window.at(i);
    if (payload.data_buffers_only && window.IsHeaderBuffer(chain)) continue;
    if (bytes <= chain.writable_bytes()) {
      return {.verdict = Placement::Verdict::kFits,
              .buffers = i + 1,
              .first_bytes = first_bytes,
              .last_bytes = static_cast<uint32_t>(bytes),
              .payload = payload};
    }
    bytes -= chain.writable_bytes();
  }
}

// Hot. A frame as it is, by the base rules (virtio 1.4 §5.1.6.4 "Processing of
// Incoming Packets"): all buffers but the last are full.
// REQUIRES: there is room for it.
inline Placement PlaceWhole(ReceiveWindow& window, uint32_t frame_bytes) {
  Placement placement = Spread(window, window.front().writable_bytes(), {},
                               uint64_t{window.header_bytes()} + frame_bytes);
  placement.payload.offset = window.header_bytes();
  return placement;
}

// Hot. Used length of buffer `index` of a placement, which is `chain`.
inline uint32_t UsedBytes(const ReceiveWindow& window,
                          const Placement& placement, uint32_t index,
                          const DescriptorChain& chain) {
  if (index + 1 == placement.buffers) return placement.last_bytes;
  if (index == 0) return placement.first_bytes;
  const bool skipped =
      placement.payload.data_buffers_only && window.IsHeaderBuffer(chain);
  return skipped ? 0 : chain.writable_bytes();
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_PLACEMENT_H_
