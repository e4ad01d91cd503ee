#include "tests/bench/proposal_queue.h"

#include <algorithm>
#include <optional>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
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
  const std::optional<memory::GuestSpan> ring =
      memory.Map(config.descriptor, config.size * kDescriptorBytes);
  const std::optional<memory::GuestSpan> driver_event =
      memory.Map(config.driver, sizeof(ProposalEvent));
  const std::optional<memory::GuestSpan> device_event =
      memory.Map(config.device, sizeof(ProposalEvent));
  if (!ring.has_value() || !driver_event.has_value() ||
      !device_event.has_value() || !config.descriptor.IsAligned(16) ||
      !config.driver.IsAligned(4) || !config.device.IsAligned(4)) {
    return absl::InvalidArgumentError(
        "an area of a proposed queue is misaligned or not inside guest RAM");
  }
  ProposalQueue queue(memory, config, offset);
  queue.ring_ = *ring;
  queue.driver_event_ = *driver_event;
  queue.device_event_ = *device_event;
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
  if (ABSL_PREDICT_FALSE(memory_->logs_writes())) LogExposed();
  // More than a lap without a question: there is nothing to tell apart.
  undecided_ =
      std::min(undecided_ + exposed_.DistanceTo(next_used_, size_), size_ + 1);
  exposed_ = next_used_;
}

void ProposalQueue::LogExposed() const {
  const uint32_t count = exposed_.DistanceTo(next_used_, size_);
  const uint32_t to_end = std::min(count, size_ - exposed_.slot());
  // Neither sum wraps: the ring was mapped.
  memory_->MarkDirty(memory::GuestAddress(ring_address_.value() +
                                          exposed_.slot() * kDescriptorBytes),
                     to_end * kDescriptorBytes);
  if (count != to_end) {
    memory_->MarkDirty(ring_address_, (count - to_end) * kDescriptorBytes);
  }
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
