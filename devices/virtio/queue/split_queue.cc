#include "devices/virtio/queue/split_queue.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <optional>

#include "absl/base/optimization.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"

// Citations are of virtio 1.4.

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
      indirect_(config.features.Has(kFeatureIndirectDesc)) {}

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
  return available_.Load<uint16_t>(kIndexOffset, std::memory_order_relaxed) !=
         next_available_;
}

// False if the driver's index is impossible. Afterwards as many chains are in
// flight or available as there are descriptors at most.
bool SplitQueue::FetchAvailableIndex() {
  // Acquire: pairs with the driver's release of idx, so that the ring entries
  // and descriptors before it are seen.
  const uint16_t index =
      available_.Load<uint16_t>(kIndexOffset, std::memory_order_acquire);
  const uint16_t in_flight =
      static_cast<uint16_t>(next_available_ - published_used_);
  const uint16_t waiting = static_cast<uint16_t>(index - next_available_);
  // An index that went back ("A driver MUST NOT decrement the available idx",
  // §2.7.6.1) looks like one that went far ahead.
  if (ABSL_PREDICT_FALSE(waiting > size_ - in_flight)) return false;
  available_index_ = index;
  return true;
}

// Hot.
bool SplitQueue::Pop(DescriptorChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  chain.Clear();
  if (ABSL_PREDICT_FALSE(!ok())) return false;
  if (next_available_ == available_index_) {
    if (ABSL_PREDICT_FALSE(!FetchAvailableIndex())) {
      return Fail(Violation::kAvailableIndexJumped, chain);
    }
    if (next_available_ == available_index_) return false;
  }
  const size_t slot = next_available_ & (size_ - 1);
  const uint16_t head = available_.Load<uint16_t>(
      sizeof(SplitAvailableHeader) + slot * sizeof(uint16_t),
      std::memory_order_relaxed);
  const Violation violation = Collect(head, chain);
  if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) {
    return Fail(violation, chain);
  }
  ++next_available_;
  chain.id_ = head;
  chain.pending_ = true;
  return true;
}

Violation SplitQueue::Collect(uint16_t head, DescriptorChain& chain) const {
  if (ABSL_PREDICT_FALSE(head >= size_)) return Violation::kHeadOutOfRange;
  const uint32_t limit = std::min<uint32_t>(size_, chain.max_descriptors());
  uint16_t index = head;  // Checked: below size_.
  for (uint32_t seen = 0; seen < limit; ++seen) {
    const DescriptorWords descriptor = LoadDescriptor(descriptors_, index);
    const uint16_t flags = descriptor.split_flags();
    if ((flags & kSplitDescIndirect) != 0) {
      // "zero or more normal chained descriptors followed by a single
      // descriptor with flags&VIRTQ_DESC_F_INDIRECT" (§2.7.5.3.2)
      return CollectIndirect(descriptor, seen, chain);
    }
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (flags & kSplitDescWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
    if ((flags & kSplitDescNext) == 0) return Violation::kNone;
    index = descriptor.split_next();
    if (ABSL_PREDICT_FALSE(index >= size_)) return Violation::kNextOutOfRange;
  }
  // "this implies that loops in the descriptor chain are forbidden!" (§2.7.5.2)
  return Violation::kChainTooLong;
}

Violation SplitQueue::CollectIndirect(const DescriptorWords& table_descriptor,
                                      uint32_t seen,
                                      DescriptorChain& chain) const {
  if (!indirect_) return Violation::kIndirectNotNegotiated;
  // "A driver MUST NOT set both VIRTQ_DESC_F_INDIRECT and VIRTQ_DESC_F_NEXT"
  // (§2.7.5.3.1). "The device MUST ignore the write-only flag" (§2.7.5.3.2).
  if ((table_descriptor.split_flags() & kSplitDescNext) != 0) {
    return Violation::kIndirectWithNext;
  }
  const uint32_t bytes = table_descriptor.len();
  if (bytes == 0 || bytes % kDescriptorBytes != 0) {
    return Violation::kIndirectTableLength;
  }
  const memory::GuestAddress address(table_descriptor.addr);
  const std::optional<memory::GuestSpan> table = memory_->Map(address, bytes);
  if (!table.has_value()) return Violation::kIndirectTableOutsideRam;
  const bool aligned = address.IsAligned(sizeof(uint64_t));
  const uint32_t table_size = bytes / kDescriptorBytes;
  const uint32_t limit = std::min<uint32_t>(size_, chain.max_descriptors());
  uint32_t index = 0;  // Checked: below table_size.
  for (; seen < limit; ++seen) {
    const DescriptorWords descriptor =
        LoadIndirectDescriptor(*table, aligned, index);
    const uint16_t flags = descriptor.split_flags();
    if ((flags & kSplitDescIndirect) != 0) return Violation::kIndirectNested;
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (flags & kSplitDescWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
    if ((flags & kSplitDescNext) == 0) return Violation::kNone;
    index = descriptor.split_next();
    if (index >= table_size) return Violation::kNextOutOfRange;
  }
  return Violation::kChainTooLong;
}

// Hot.
void SplitQueue::Push(DescriptorChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.pending_);
  written = std::min(written, chain.writable_bytes_);
  chain.MarkWritten(*memory_, written);
  const size_t offset = sizeof(SplitUsedHeader) +
                        (next_used_ & (size_ - 1)) * sizeof(SplitUsedElement);
  // Relaxed: exposed by the release of idx in Publish().
  used_.Store<uint32_t>(offset + offsetof(SplitUsedElement, id), chain.id_,
                        std::memory_order_relaxed);
  used_.Store<uint32_t>(offset + offsetof(SplitUsedElement, len), written,
                        std::memory_order_relaxed);
  memory_->MarkDirty(
      memory::GuestAddress(used_address_.value() + offset),  // Was mapped.
      sizeof(SplitUsedElement));
  ++next_used_;
  chain.Clear();
}

// Hot.
bool SplitQueue::Publish() {
  if (next_used_ == published_used_) return false;
  const uint16_t old_used = published_used_;
  published_used_ = next_used_;
  // Release: pairs with the driver's acquire of used idx; the entries and the
  // bytes in the buffers come before it.
  used_.Store<uint16_t>(kIndexOffset, published_used_,
                        std::memory_order_release);
  memory_->MarkDirty(used_address_, sizeof(SplitUsedHeader));
  // Full fence: pairs with the driver's between its write of used_event (or
  // flags) and its second look at idx. One of us sees the other's write.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (event_idx_) {
    const uint16_t used_event = available_.Load<uint16_t>(
        SplitUsedEventOffset(size_), std::memory_order_relaxed);
    return EventIndexPassed(used_event, published_used_, old_used);
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
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return HasAvailable();
}

void SplitQueue::DisableNotifications() {
  // "if the VIRTIO_F_EVENT_IDX feature bit is negotiated: The device MUST set
  // flags to 0" (§2.7.10.2); an avail_event that lies behind is advice enough.
  if (event_idx_) return;
  used_.Store<uint16_t>(kFlagsOffset, kUsedNoNotify, std::memory_order_relaxed);
  memory_->MarkDirty(used_address_, sizeof(uint16_t));
}

bool SplitQueue::Fail(Violation violation, DescriptorChain& chain) {
  if (ok()) violation_ = violation;
  chain.Clear();
  return false;
}

}  // namespace annulus::virtio
