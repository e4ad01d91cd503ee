// SplitQueue: going on where a queue was saved.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/spec/split_ring.h"

namespace annulus::virtio {

absl::StatusOr<SplitQueue> SplitQueue::Create(const memory::GuestMemory& memory,
                                              const QueueConfig& config,
                                              const QueueState& state) {
  ANNULUS_ASSIGN_OR_RETURN(SplitQueue queue, Create(memory, config));
  ANNULUS_RETURN_IF_ERROR(
      CheckQueueState(state, /*packed=*/false, config.size));
  const uint16_t in_flight =
      static_cast<uint16_t>(state.next_available - state.next_used);
  if (in_flight > state.size) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the saved split queue of size %u has %u chains in flight, between "
        "available %u and used %u",
        state.size, in_flight, state.next_available, state.next_used));
  }
  queue.next_available_ = queue.available_index_ = state.next_available;
  queue.next_used_ = queue.published_used_ = state.next_used;
  queue.unresumed_ = in_flight;
  queue.violation_ = state.violation;
  return queue;
}

QueueState SplitQueue::Save() const {
  ANNULUS_DCHECK(next_used_ == published_used_);
  return {.packed = false,
          .size = size_,
          .next_available = next_available_,
          .next_used = next_used_,
          .violation = violation_};
}

uint16_t SplitQueue::UsedHeadBefore(uint16_t index) const {
  const size_t slot = static_cast<uint16_t>(index - 1) & (size_ - 1u);
  const uint32_t head = used_.Load<uint32_t>(
      sizeof(SplitUsedHeader) + slot * sizeof(SplitUsedElement) +
          offsetof(SplitUsedElement, id),
      std::memory_order_relaxed);
  return head < size_ ? static_cast<uint16_t>(head) : 0;
}

absl::Status SplitQueue::ResumeChain(const ChainState& state,
                                     DescriptorChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  if (unresumed_ == 0) {
    return absl::InvalidArgumentError(
        "there are more saved chains than were in flight");
  }
  if (state.id >= size_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a saved chain's head %u is not in a queue of size %u",
                        state.id, size_));
  }
  ANNULUS_RETURN_IF_ERROR(chain.Resume(*memory_, state));
  chain.order_ = static_cast<uint16_t>(next_available_ - unresumed_);
  chain.pending_ = true;
  --unresumed_;
  return absl::OkStatus();
}

}  // namespace annulus::virtio
