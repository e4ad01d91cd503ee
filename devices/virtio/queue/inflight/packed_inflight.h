#ifndef DEVICES_VIRTIO_QUEUE_INFLIGHT_PACKED_INFLIGHT_H_
#define DEVICES_VIRTIO_QUEUE_INFLIGHT_PACKED_INFLIGHT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// What a PackedQueue notes of its buffers in flight. See inflight_region.h.
//
// Threads: as the queue's.
// Trust: nothing is read back from the region.
// Allocation: in Create() only.
class PackedInflight {
 public:
  // Cold. Begins anew with nothing in flight, for a queue that begins or goes
  // on at `used`. InvalidArgument where the region is too small or misaligned.
  static absl::StatusOr<PackedInflight> Create(const memory::GuestSpan& region,
                                               uint16_t size,
                                               PackedPosition used);

  // The next chain was popped: its `count` descriptors lie in `ring` from
  // `offset` on and around its end. What is there now is what goes back: a
  // driver that changes it meanwhile has itself to blame. REQUIRES: no more
  // than `size` descriptors are in flight. Counts from NoteEnd() on.
  void Note(const memory::GuestSpan& ring, uint16_t offset, uint16_t count);
  void NoteEnd();

  // Around the store that shows the driver that the oldest chains, which have
  // `count` descriptors, are used; the next used descriptor goes to `end`.
  // REQUIRES: as many are in flight.
  void BeforeExpose(uint32_t count, PackedPosition end);
  void AfterExpose();

 private:
  struct Chain {
    uint16_t head = 0;  // Entries of the region.
    uint16_t last = 0;
    uint16_t count = 0;
  };

  PackedInflight(const memory::GuestSpan& region, uint16_t size,
                 PackedPosition used);

  void StoreHeader(uint16_t old_free_head) const;

  InflightRegion region_;
  uint16_t size_;
  std::vector<uint16_t> next_;  // The entries' own.
  std::vector<Chain> chains_;   // A ring of those in flight.
  uint32_t first_ = 0;          // The oldest of them.
  uint32_t count_ = 0;
  uint32_t exposed_ = 0;  // Of them, by BeforeExpose().
  uint16_t free_head_ = 0;
  PackedPosition used_;
  uint64_t counter_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_INFLIGHT_PACKED_INFLIGHT_H_
