#include "tests/bench/proposal_queue.h"

#include <algorithm>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "memory/shared_access.h"

namespace annulus::bench {

ProposalQueue::ProposalQueue(const memory::GuestMemory& memory,
                             const virtio::QueueConfig& config, uint32_t offset)
    : memory_(&memory),
      ring_address_(config.descriptor),
      device_event_address_(config.device),
      size_(config.size),
      offset_(offset),
      event_idx_(config.features.Has(virtio::kFeatureEventIdx)),
      indirect_(config.features.Has(virtio::kFeatureIndirectDesc)) {}

absl::StatusOr<ProposalQueue> ProposalQueue::Create(
    const memory::GuestMemory& memory, const virtio::QueueConfig& config,
    uint32_t offset) {
  if (config.size == 0 || config.size > kProposalMaxQueueSize) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a proposed queue's size of %u is not in 1..%u",
                        config.size, kProposalMaxQueueSize));
  }
  ProposalQueue queue(memory, config, offset);
  ANNULUS_ASSIGN_OR_RETURN(
      queue.ring_, virtio::MapRingArea(memory, config.descriptor,
                                       config.size * kDescriptorBytes, 16,
                                       "proposed descriptor ring"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.driver_event_,
      virtio::MapRingArea(memory, config.driver, sizeof(ProposalEvent), 4,
                          "proposed driver event"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.device_event_,
      virtio::MapRingArea(memory, config.device, sizeof(ProposalEvent), 4,
                          "proposed device event"));
  return queue;
}

// Hot. The descriptors of a used buffer after its first.
void ProposalQueue::ClearRest(ProposalCounter position, uint32_t count) {
  while (--count != 0) {
    position.Advance(1, size_);
    // Relaxed: as in Push().
    StoreWord(position.slot(), 0, std::memory_order_relaxed);
  }
}

// Hot.
void ProposalQueue::Expose() {
  if (next_used_ == exposed_) return;
  const uint64_t last = ProposalBatchEnd(last_word_);
  if (last_slot_ == exposed_.slot()) {
    first_word_ = last;
  } else {
    // Relaxed: as in Push().
    StoreWord(last_slot_, last, std::memory_order_relaxed);
  }
  // Release: pairs with the driver's acquire of these flags; the rest of the
  // batch and the buffers' bytes come before it.
  StoreWord(exposed_.slot(), first_word_, std::memory_order_release);
  const uint32_t count = exposed_.DistanceTo(next_used_, size_);
  if (ABSL_PREDICT_FALSE(memory_->logs_writes())) {
    virtio::MarkRingDirty(*memory_, ring_address_, kDescriptorBytes, size_,
                          exposed_.slot(), count);
  }
  // More than a lap without a question: there is nothing to tell apart.
  undecided_ = std::min(undecided_ + count, size_ + 1);
  exposed_ = next_used_;
}

// Hot.
bool ProposalQueue::Publish() {
  Expose();
  const uint32_t count = undecided_;
  if (count == 0) return false;
  undecided_ = 0;
  // Full fence: pairs with the driver's between its write of the driver event
  // and its second look at the next used descriptor.
  memory::FullFence();
  return ProposalWantsEvent(
      driver_event_.Load<uint32_t>(0, std::memory_order_relaxed), event_idx_,
      next_used_, count, size_);
}

bool ProposalQueue::EnableNotifications() {
  if (event_idx_) {
    StoreDeviceEvent(ProposalEventAfter(next_available_, size_),
                     kProposalEventIdx);
  } else {
    StoreDeviceEvent(0, kProposalEventEnable);
  }
  // Full fence: pairs with the driver's between its write of the descriptor's
  // flags and its reading of the device event.
  memory::FullFence();
  return HasAvailable();
}

void ProposalQueue::DisableNotifications() {
  StoreDeviceEvent(0, kProposalEventDisable);
}

void ProposalQueue::StoreDeviceEvent(uint16_t idx, uint16_t flags) {
  device_event_.Store<uint32_t>(0, ProposalEventWord(idx, flags),
                                std::memory_order_relaxed);
  memory_->MarkDirty(device_event_address_, sizeof(ProposalEvent));
}

}  // namespace annulus::bench
