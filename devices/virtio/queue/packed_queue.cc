#include "devices/virtio/queue/packed_queue.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/shared_access.h"

// Creation, the way back to the driver, and notifications; how buffers come in
// is in packed_queue_take.cc. Citations are of virtio 1.4.

namespace annulus::virtio {

PackedQueue::PackedQueue(const memory::GuestMemory& memory,
                         const QueueConfig& config)
    : memory_(&memory),
      ring_address_(config.descriptor),
      device_event_address_(config.device),
      size_(config.size),
      event_idx_(config.features.Has(kFeatureEventIdx)),
      indirect_(config.features.Has(kFeatureIndirectDesc)),
      in_order_(config.features.Has(kFeatureInOrder)) {}

absl::StatusOr<PackedQueue> PackedQueue::Create(
    const memory::GuestMemory& memory, const QueueConfig& config) {
  // "The Queue Size value does not have to be a power of 2." (§2.8.10.1)
  if (config.size == 0 || config.size > kPackedMaxQueueSize) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a packed queue's size of %u is not in 1..%u",
                        config.size, kPackedMaxQueueSize));
  }
  PackedQueue queue(memory, config);
  ANNULUS_ASSIGN_OR_RETURN(
      queue.ring_,
      MapRingArea(memory, config.descriptor, config.size * kDescriptorBytes,
                  kPackedRingAlignment, "descriptor ring"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.driver_event_,
      MapRingArea(memory, config.driver, sizeof(PackedEventSuppression),
                  kPackedEventAlignment, "driver event suppression area"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.device_event_,
      MapRingArea(memory, config.device, sizeof(PackedEventSuppression),
                  kPackedEventAlignment, "device event suppression area"));
  return queue;
}

bool PackedQueue::HasAvailable() const {
  // Relaxed: Pop() acquires.
  const uint16_t flags =
      ring_.Load<uint16_t>(next_available_.offset * kDescriptorBytes +
                               offsetof(PackedDescriptor, flags),
                           std::memory_order_relaxed);
  return IsPackedAvailable(flags, next_available_.wrap);
}

// "If negotiated, this knowledge allows devices to notify the use of a batch of
// buffers to the driver by only writing out a single used descriptor with the
// Buffer ID corresponding to the last descriptor in the batch." (§2.8.8) The
// skipped ones count as used completely. Those with a writable part are not
// skipped even so: drivers in the field (DPDK's) look for their lengths.
void PackedQueue::PushInOrder(PackedPosition position,
                              const DescriptorChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.order_ == position.offset);
  if (!run_open_) {
    run_open_ = true;
    run_start_ = position;
  }
  run_id_ = chain.id_;
  if (chain.writable_bytes_ != 0) {
    run_open_ = false;
    StageUsed(run_start_, run_id_, written);
  }
}

// Hot. There is a batch to be shown. The noting one is a function of its own,
// so that the other one pays a branch.
template <bool kNote>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void PackedQueue::ExposeBatch() {
  if (run_open_) {
    run_open_ = false;
    StageUsed(run_start_, run_id_, 0);
  }
  const uint32_t count = exposed_.DistanceTo(next_used_, size_);
  if constexpr (kNote) inflight_->BeforeExpose(count, next_used_);
  // Release: pairs with the driver's acquire of the flags; the later used
  // descriptors of the batch and the bytes in the buffers come before it.
  ring_.Store<uint64_t>(
      exposed_.offset * kDescriptorBytes + offsetof(PackedDescriptor, len),
      first_word_, std::memory_order_release);
  if constexpr (kNote) inflight_->AfterExpose();
  if (ABSL_PREDICT_FALSE(memory_->logs_writes())) {
    MarkRingDirty(*memory_, ring_address_, kDescriptorBytes, size_,
                  exposed_.offset, count);
  }
  // More than a lap without a question: there is nothing to tell apart.
  undecided_ = std::min<uint32_t>(undecided_ + count, size_ + 1);
  exposed_ = next_used_;
}

ABSL_ATTRIBUTE_NOINLINE void PackedQueue::ExposeNoted() {
  ExposeBatch</*kNote=*/true>();
}

// Hot.
void PackedQueue::Expose() {
  if (next_used_ == exposed_) return;
  if (ABSL_PREDICT_FALSE(inflight_ != nullptr)) return ExposeNoted();
  ExposeBatch</*kNote=*/false>();
}

// Hot.
bool PackedQueue::Publish() {
  Expose();
  const uint32_t count = undecided_;
  if (count == 0) return false;
  undecided_ = 0;
  // Full fence: pairs with the driver's between its write of the driver event
  // suppression structure and its second look at the next used descriptor. One
  // of us sees the other's write.
  memory::FullFence();
  // Both fields in one load, so that they belong together.
  const uint32_t event =
      driver_event_.Load<uint32_t>(0, std::memory_order_relaxed);
  switch ((event >> 16) & kRingEventFlagsMask) {
    case kRingEventFlagsDisable:
      return false;
    case kRingEventFlagsDesc:
      // "Only valid if VIRTIO_F_EVENT_IDX has been negotiated." (§2.8.10)
      // Without it, as for the reserved value 3: notify, which is never wrong.
      return !event_idx_ || count > size_ ||
             PackedEventPassed(static_cast<uint16_t>(event), next_used_, count,
                               size_);
    default:
      return true;
  }
}

bool PackedQueue::EnableNotifications() {
  if (event_idx_) {
    StoreDeviceEvent(next_available_.ToEventDesc(), kRingEventFlagsDesc);
  } else {
    StoreDeviceEvent(0, kRingEventFlagsEnable);
  }
  // Full fence: pairs with the driver's between its write of the descriptor's
  // flags and its reading of the device event suppression structure.
  memory::FullFence();
  return HasAvailable();
}

void PackedQueue::DisableNotifications() {
  StoreDeviceEvent(0, kRingEventFlagsDisable);
}

// One store for both fields: the driver never sees a new mode with an old
// descriptor.
void PackedQueue::StoreDeviceEvent(uint16_t desc, uint16_t flags) {
  device_event_.Store<uint32_t>(0, (static_cast<uint32_t>(flags) << 16) | desc,
                                std::memory_order_relaxed);
  memory_->MarkDirty(device_event_address_, sizeof(PackedEventSuppression));
}

}  // namespace annulus::virtio
