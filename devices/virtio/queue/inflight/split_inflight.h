#ifndef DEVICES_VIRTIO_QUEUE_INFLIGHT_SPLIT_INFLIGHT_H_
#define DEVICES_VIRTIO_QUEUE_INFLIGHT_SPLIT_INFLIGHT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// What a SplitQueue notes of its buffers in flight. See inflight_region.h.
//
// Threads: as the queue's.
// Trust: nothing is read back from the region.
// Allocation: in Create() only.
class SplitInflight {
 public:
  // Cold. Begins anew with nothing in flight, for a queue that begins or goes
  // on at `used_idx` of the used ring, whose last entry was of `last_head`.
  // InvalidArgument where the region is too small or misaligned.
  static absl::StatusOr<SplitInflight> Create(const memory::GuestSpan& region,
                                              uint16_t size, uint16_t used_idx,
                                              uint16_t last_head);

  // The next chain was popped. REQUIRES: head < size, and fewer than `size` are
  // in flight.
  void Note(uint16_t head);

  // Around the store that shows the driver that the `count` oldest chains are
  // used. REQUIRES: as many are in flight.
  void BeforeExpose(uint32_t count);
  void AfterExpose(uint16_t used_idx);

 private:
  SplitInflight(const memory::GuestSpan& region, uint16_t size);

  InflightRegion region_;
  uint16_t size_;
  std::vector<uint16_t> heads_;  // A ring of those in flight.
  uint32_t first_ = 0;           // The oldest of them.
  uint32_t count_ = 0;
  uint32_t exposed_ = 0;  // Of them, by BeforeExpose().
  uint16_t last_batch_head_ = 0;
  uint64_t counter_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_INFLIGHT_SPLIT_INFLIGHT_H_
