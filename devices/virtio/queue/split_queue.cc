#include "devices/virtio/queue/split_queue.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/shared_access.h"

// Creation, the way back to the driver, and notifications; how buffers come in
// is in split_queue_take.cc. Citations are of virtio 1.4.

namespace annulus::virtio {
namespace {

constexpr size_t kFlagsOffset = offsetof(SplitAvailableHeader, flags);
constexpr size_t kIndexOffset = offsetof(SplitAvailableHeader, idx);
static_assert(kFlagsOffset == offsetof(SplitUsedHeader, flags));
static_assert(kIndexOffset == offsetof(SplitUsedHeader, idx));

}  // namespace

SplitQueue::SplitQueue(const memory::GuestMemory& memory,
                       const QueueConfig& config)
    : memory_(&memory),
      used_address_(config.device),
      size_(config.size),
      event_idx_(config.features.Has(kFeatureEventIdx)),
      indirect_(config.features.Has(kFeatureIndirectDesc)),
      in_order_(config.features.Has(kFeatureInOrder)) {}

absl::StatusOr<SplitQueue> SplitQueue::Create(const memory::GuestMemory& memory,
                                              const QueueConfig& config) {
  // "Queue Size value is always a power of 2. The maximum Queue Size value is
  // 32768." (§2.7)
  if (config.size > kSplitMaxQueueSize || !std::has_single_bit(config.size)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a split queue's size of %u is not a power of 2 up to %u", config.size,
        kSplitMaxQueueSize));
  }
  SplitQueue queue(memory, config);
  ANNULUS_ASSIGN_OR_RETURN(
      queue.descriptors_,
      MapRingArea(memory, config.descriptor,
                  SplitDescriptorTableBytes(config.size),
                  kSplitDescriptorAlignment, "descriptor table"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.available_,
      MapRingArea(memory, config.driver, SplitAvailableRingBytes(config.size),
                  kSplitAvailableAlignment, "available ring"));
  ANNULUS_ASSIGN_OR_RETURN(
      queue.used_,
      MapRingArea(memory, config.device, SplitUsedRingBytes(config.size),
                  kSplitUsedAlignment, "used ring"));
  return queue;
}

bool SplitQueue::HasAvailable() const {
  // Relaxed: Pop() acquires.
  return available_.Load<uint16_t>(kIndexOffset, std::memory_order_relaxed) !=
         next_available_;
}

// "If negotiated, this knowledge allows devices to notify the use of a batch of
// buffers to the driver by only writing out a single used ring entry with the
// id corresponding to the head entry of the descriptor chain describing the
// last buffer in the batch." (§2.7.9) Buffers with a writable part are not
// skipped: see PackedQueue::PushInOrder().
void SplitQueue::PushInOrder(uint16_t index, const DescriptorChain& chain,
                             uint32_t written) {
  ANNULUS_DCHECK(chain.order_ == index);
  if (!run_open_) {
    run_open_ = true;
    run_start_ = index;
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
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void SplitQueue::ExposeBatch() {
  if (run_open_) {
    run_open_ = false;
    StageUsed(run_start_, run_id_, 0);
  }
  const uint16_t start = published_used_;
  published_used_ = next_used_;
  const uint32_t count = static_cast<uint16_t>(published_used_ - start);
  if constexpr (kNote) inflight_->BeforeExpose(count);
  // Release: pairs with the driver's acquire of used idx; the entries and the
  // bytes in the buffers come before it.
  used_.Store<uint16_t>(kIndexOffset, published_used_,
                        std::memory_order_release);
  if constexpr (kNote) inflight_->AfterExpose(published_used_);
  if (ABSL_PREDICT_FALSE(memory_->logs_writes())) {
    memory_->MarkDirty(used_address_, sizeof(SplitUsedHeader));
    const memory::GuestAddress first(used_address_.value() +
                                     sizeof(SplitUsedHeader));
    MarkRingDirty(*memory_, first, sizeof(SplitUsedElement), size_,
                  start & (size_ - 1u), count);
  }
  // Beyond 2^16 every event was passed, and there is nothing to count.
  undecided_ = std::min<uint32_t>(undecided_ + count, UINT16_MAX + 1);
}

ABSL_ATTRIBUTE_NOINLINE void SplitQueue::ExposeNoted() {
  ExposeBatch</*kNote=*/true>();
}

// Hot.
void SplitQueue::Expose() {
  if (next_used_ == published_used_) return;
  if (ABSL_PREDICT_FALSE(inflight_ != nullptr)) return ExposeNoted();
  ExposeBatch</*kNote=*/false>();
}

// Hot.
bool SplitQueue::Publish() {
  Expose();
  const uint32_t count = undecided_;
  if (count == 0) return false;
  undecided_ = 0;
  // Full fence: pairs with the driver's between its write of used_event (or
  // flags) and its second look at idx. One of us sees the other's write.
  memory::FullFence();
  if (event_idx_) {
    const uint16_t used_event = available_.Load<uint16_t>(
        SplitUsedEventOffset(size_), std::memory_order_relaxed);
    return count > UINT16_MAX ||
           EventIndexPassed(used_event, published_used_,
                            static_cast<uint16_t>(published_used_ - count));
  }
  const uint16_t flags =
      available_.Load<uint16_t>(kFlagsOffset, std::memory_order_relaxed);
  return (flags & kAvailNoInterrupt) == 0;
}

bool SplitQueue::EnableNotifications() {
  if (event_idx_) {
    const size_t offset = SplitAvailEventOffset(size_);
    used_.Store<uint16_t>(offset, next_available_, std::memory_order_relaxed);
    memory_->MarkDirty(memory::GuestAddress(used_address_.value() + offset),
                       sizeof(uint16_t));
  } else {
    used_.Store<uint16_t>(kFlagsOffset, 0, std::memory_order_relaxed);
    memory_->MarkDirty(used_address_, sizeof(uint16_t));
  }
  // Full fence: pairs with the driver's between its write of the available idx
  // and its reading of avail_event (or flags).
  memory::FullFence();
  return HasAvailable();
}

void SplitQueue::DisableNotifications() {
  // "if the VIRTIO_F_EVENT_IDX feature bit is negotiated: The device MUST set
  // flags to 0" (§2.7.10.2); an avail_event that lies behind is advice enough.
  if (event_idx_) return;
  used_.Store<uint16_t>(kFlagsOffset, kUsedNoNotify, std::memory_order_relaxed);
  memory_->MarkDirty(used_address_, sizeof(uint16_t));
}

}  // namespace annulus::virtio
