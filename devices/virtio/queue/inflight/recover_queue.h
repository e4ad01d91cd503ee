#ifndef DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_QUEUE_H_
#define DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_QUEUE_H_

#include <optional>

#include "absl/status/statusor.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// Cold. Finds out where a queue is to go on whose device is dead, killed
// between any two of its instructions, from the rings and from the region in
// which it noted what it had in flight (inflight_region.h): no buffer is lost,
// and none was or will be given to the driver twice.
//
// A batch of used buffers that the driver can see is committed; one that it
// cannot see is taken back. What was in flight is available again: packed
// descriptors that were overwritten are put back as the driver wrote them. A
// device that goes on pops it once more, so that a frame may be sent twice.
// Afterwards the region has nothing in flight. RecoverQueue() may be killed,
// too, and be repeated.
//
// nullopt, and nothing written, where the region is not initialized, or not of
// these rings, for the driver may have begun anew meanwhile: then the queue
// begins where the front-end says.
//
// InvalidArgument where no queue can be made of `config`, or `region` is too
// small or misaligned.
//
// REQUIRES: buffers were used in the order in which they were popped, as all
// devices here do; a region of one that did otherwise is not recognized.
//
// Trust: the rings and the region may contain anything, and may change
//   meanwhile. Each field is read once and checked, each walk is bounded.
absl::StatusOr<std::optional<QueueState>> RecoverQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const memory::GuestSpan& region);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_QUEUE_H_
