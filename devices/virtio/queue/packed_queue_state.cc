// PackedQueue: going on where a queue was saved.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/queue_state.h"

namespace annulus::virtio {

absl::StatusOr<PackedQueue> PackedQueue::Create(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const QueueState& state) {
  ANNULUS_ASSIGN_OR_RETURN(PackedQueue queue, Create(memory, config));
  ANNULUS_RETURN_IF_ERROR(CheckQueueState(state, /*packed=*/true, config.size));
  if (state.next_available >= state.size || state.next_used >= state.size) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the saved offsets %u and %u are not in a packed ring of size %u",
        state.next_available, state.next_used, state.size));
  }
  queue.next_available_ = {state.next_available, state.available_wrap};
  queue.next_used_ = {state.next_used, state.used_wrap};
  queue.exposed_ = queue.next_used_;
  // Descriptors in flight lie between the two, at most a lap apart. A greater
  // distance, or a negative one, which wraps, is not one that can come about.
  const uint32_t in_flight = queue.occupied();
  if (in_flight > state.size) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the saved packed queue of size %u is at available %u/%d and used "
        "%u/%d, more than a lap apart",
        state.size, state.next_available, state.available_wrap, state.next_used,
        state.used_wrap));
  }
  queue.unresumed_ = in_flight;
  queue.violation_ = state.violation;
  return queue;
}

QueueState PackedQueue::Save() const {
  ANNULUS_DCHECK(next_used_ == exposed_);
  return {.packed = true,
          .size = size_,
          .next_available = next_available_.offset,
          .next_used = next_used_.offset,
          .available_wrap = next_available_.wrap,
          .used_wrap = next_used_.wrap,
          .violation = violation_};
}

absl::Status PackedQueue::ResumeChain(const ChainState& state,
                                      DescriptorChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  if (state.ring_descriptors == 0 || state.ring_descriptors > unresumed_) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a saved chain has %u descriptors in the ring, where %u are in flight",
        state.ring_descriptors, unresumed_));
  }
  ANNULUS_RETURN_IF_ERROR(chain.Resume(*memory_, state));
  PackedPosition start = next_used_;
  start.Advance(occupied() - unresumed_, size_);
  chain.order_ = start.offset;
  chain.pending_ = true;
  unresumed_ -= state.ring_descriptors;
  return absl::OkStatus();
}

}  // namespace annulus::virtio
