#ifndef DEVICES_VIRTIO_QUEUE_EVENT_SUPPRESSION_H_
#define DEVICES_VIRTIO_QUEUE_EVENT_SUPPRESSION_H_

#include <cstdint>

#include "devices/virtio/spec/packed_ring.h"

// The range tests behind notification suppression, for both sides of a queue
// and both ring formats. Ranges, never equality: a batch that steps over the
// event index must notify as well. Freestanding: guests include it too.

namespace annulus::virtio {

// Split ring: true if the index `event` is among those of the entries just
// written, [old_index, new_index), modulo 2^16 (virtio 1.4 §2.7.7 "Used Buffer
// Notification Suppression"). False for an empty batch.
constexpr bool EventIndexPassed(uint16_t event, uint16_t new_index,
                                uint16_t old_index) {
  return static_cast<uint16_t>(new_index - event - 1) <
         static_cast<uint16_t>(new_index - old_index);
}

// A place in a packed ring: where the next descriptor goes, and the ring wrap
// counter there (virtio 1.4 §2.8.1 "Driver and Device Ring Wrap Counters").
struct PackedPosition {
  uint16_t offset = 0;
  bool wrap = true;

  // REQUIRES: count <= size, and offset < size.
  constexpr void Advance(uint32_t count, uint32_t size) {
    uint32_t next = offset + count;
    if (next >= size) {
      next -= size;
      wrap = !wrap;
    }
    offset = static_cast<uint16_t>(next);
  }

  // How many descriptors lie from here to `end`, which is ahead by at most one
  // lap: 0 to size.
  constexpr uint32_t DistanceTo(PackedPosition end, uint32_t size) const {
    return (wrap == end.wrap ? 0 : size) + end.offset - offset;
  }

  friend constexpr bool operator==(PackedPosition, PackedPosition) = default;

  // As the desc field of an event suppression structure has it.
  constexpr uint16_t ToEventDesc() const {
    return static_cast<uint16_t>(offset | (wrap ? kPackedEventWrap : 0));
  }
};

// Packed ring: true if the descriptor named by `event_desc` is among the
// `count` descriptors just written, which end before `end`. `event_desc` is the
// other side's desc field, and any value is tolerated: an offset that no
// descriptor has notifies always, for too many notifications only cost time.
// REQUIRES: count <= size <= 32768.
constexpr bool PackedEventPassed(uint16_t event_desc, PackedPosition end,
                                 uint32_t count, uint32_t size) {
  const uint32_t offset = event_desc & kPackedEventOffset;
  const bool wrap = (event_desc & kPackedEventWrap) != 0;
  if (offset >= size) return count != 0;
  // How far `end` is beyond the event descriptor, going back at most one lap.
  // An event ahead of `end` in this lap gives 0 or less, hence the wrap to a
  // huge number, which no count reaches.
  const uint32_t distance =
      wrap == end.wrap ? end.offset - offset : end.offset + size - offset;
  return distance - 1 < count;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_EVENT_SUPPRESSION_H_
