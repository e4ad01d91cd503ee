#include "devices/virtio/queue/packed_queue.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>

#include "absl/base/optimization.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"

// Citations are of virtio 1.4.

namespace annulus::virtio {
namespace {

constexpr uint16_t kAvailUsed = kPackedDescAvail | kPackedDescUsed;

constexpr size_t FlagsOffset(uint16_t slot) {
  return slot * kDescriptorBytes + offsetof(PackedDescriptor, flags);
}

// "the driver sets the VIRTQ_DESC_F_AVAIL bit in Flags to match the internal
// Driver Ring Wrap Counter. It also sets the VIRTQ_DESC_F_USED bit to match the
// inverse value" (§2.8.1)
constexpr bool IsAvailable(uint16_t flags, bool wrap) {
  return (flags & kAvailUsed) == (wrap ? kPackedDescAvail : kPackedDescUsed);
}

// "the device sets the VIRTQ_DESC_F_USED bit in Flags to match the internal
// Device Ring Wrap Counter. It also sets the VIRTQ_DESC_F_AVAIL bit to match
// the same value." (§2.8.1)
constexpr uint16_t UsedFlags(bool wrap, uint32_t written) {
  return static_cast<uint16_t>((wrap ? kAvailUsed : 0) |
                               (written != 0 ? kPackedDescWrite : 0));
}

}  // namespace

PackedQueue::PackedQueue(const memory::GuestMemory& memory,
                         const QueueConfig& config)
    : memory_(&memory),
      ring_address_(config.descriptor),
      device_event_address_(config.device),
      size_(config.size),
      event_idx_(config.features.Has(kFeatureEventIdx)),
      indirect_(config.features.Has(kFeatureIndirectDesc)) {}

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
  return IsAvailable(ring_.Load<uint16_t>(FlagsOffset(next_available_.offset),
                                          std::memory_order_relaxed),
                     next_available_.wrap);
}

// Hot.
bool PackedQueue::Pop(DescriptorChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  chain.Clear();
  if (ABSL_PREDICT_FALSE(!ok())) return false;
  // Acquire: pairs with the driver's release of the first descriptor's flags,
  // so that the rest of it and the rest of its list are seen.
  const uint16_t flags = ring_.Load<uint16_t>(
      FlagsOffset(next_available_.offset), std::memory_order_acquire);
  if (!IsAvailable(flags, next_available_.wrap)) return false;
  const Violation violation = Collect(chain);
  if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) {
    return Fail(violation, chain);
  }
  next_available_.Advance(chain.ring_descriptors_, size_);
  in_flight_ = static_cast<uint16_t>(in_flight_ + chain.ring_descriptors_);
  chain.pending_ = true;
  return true;
}

Violation PackedQueue::Collect(DescriptorChain& chain) const {
  // Descriptors that are popped and not pushed are the device's: a driver that
  // makes one available again has flipped its flags without seeing it used.
  const uint32_t free = size_ - in_flight_;
  if (ABSL_PREDICT_FALSE(free == 0)) return Violation::kTooManyInFlight;
  const uint32_t limit = std::min(free, chain.max_descriptors());
  PackedPosition position = next_available_;
  for (uint32_t seen = 0; seen < limit; ++seen) {
    const DescriptorWords descriptor = LoadDescriptor(ring_, position.offset);
    const uint16_t flags = descriptor.packed_flags();
    // "all flags, including VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED,
    // VIRTQ_DESC_F_WRITE must be set/cleared correctly in all descriptors in
    // the list, not just the first one." (§2.8.6) Nobody waits for the rest.
    if (ABSL_PREDICT_FALSE(!IsAvailable(flags, position.wrap))) {
      return Violation::kChainIncomplete;
    }
    position.Advance(1, size_);
    if ((flags & kPackedDescIndirect) != 0) {
      // "A driver MUST NOT write direct descriptors with VIRTQ_DESC_F_INDIRECT
      // set in a scatter-gather list linked by VIRTQ_DESC_F_NEXT." (§2.8.19)
      if (seen != 0 || (flags & kPackedDescNext) != 0) {
        return Violation::kIndirectWithNext;
      }
      chain.id_ = descriptor.packed_id();
      chain.ring_descriptors_ = 1;
      return CollectIndirect(descriptor, chain);
    }
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (flags & kPackedDescWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
    if ((flags & kPackedDescNext) == 0) {
      // "Buffer ID is included in the last descriptor in the list." (§2.8.6)
      chain.id_ = descriptor.packed_id();
      chain.ring_descriptors_ = static_cast<uint16_t>(seen + 1);
      return Violation::kNone;
    }
  }
  return Violation::kChainTooLong;
}

Violation PackedQueue::CollectIndirect(const DescriptorWords& table_descriptor,
                                       DescriptorChain& chain) const {
  if (!indirect_) return Violation::kIndirectNotNegotiated;
  const uint32_t bytes = table_descriptor.len();
  if (bytes == 0 || bytes % kDescriptorBytes != 0) {
    return Violation::kIndirectTableLength;
  }
  // "A driver MUST NOT create a descriptor list longer than the Queue Size."
  // (§2.8.17)
  const uint32_t table_size = bytes / kDescriptorBytes;
  if (table_size > std::min<uint32_t>(size_, chain.max_descriptors())) {
    return Violation::kChainTooLong;
  }
  const memory::GuestAddress address(table_descriptor.addr);
  const std::optional<memory::GuestSpan> table = memory_->Map(address, bytes);
  if (!table.has_value()) return Violation::kIndirectTableOutsideRam;
  const bool aligned = address.IsAligned(sizeof(uint64_t));
  for (uint32_t i = 0; i < table_size; ++i) {
    const DescriptorWords descriptor =
        LoadIndirectDescriptor(*table, aligned, i);
    // "The VIRTQ_DESC_F_WRITE flags bit is the only valid flag for descriptors
    // in the indirect table. Others are reserved and are ignored by the
    // device." (§2.8.7) That includes VIRTQ_DESC_F_INDIRECT: no nesting.
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (descriptor.packed_flags() & kPackedDescWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
  }
  return Violation::kNone;
}

// Hot.
void PackedQueue::Push(DescriptorChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.pending_);
  written = std::min(written, chain.writable_bytes_);
  chain.MarkWritten(*memory_, written);
  const uint16_t slot = next_used_.offset;
  const size_t offset = slot * kDescriptorBytes;
  const uint16_t flags = UsedFlags(next_used_.wrap, written);
  // Relaxed: exposed by the release of the batch's first flags in Publish().
  ring_.Store<uint32_t>(offset + offsetof(PackedDescriptor, len), written,
                        std::memory_order_relaxed);
  ring_.Store<uint16_t>(offset + offsetof(PackedDescriptor, id), chain.id_,
                        std::memory_order_relaxed);
  if (staged_ == 0) {
    first_slot_ = slot;
    first_flags_ = flags;
  } else {
    ring_.Store<uint16_t>(FlagsOffset(slot), flags, std::memory_order_relaxed);
  }
  memory_->MarkDirty(
      memory::GuestAddress(ring_address_.value() + offset),  // Was mapped.
      kDescriptorBytes);
  const uint16_t count = chain.ring_descriptors_;
  staged_ = static_cast<uint16_t>(staged_ + count);
  in_flight_ = static_cast<uint16_t>(in_flight_ - count);
  next_used_.Advance(count, size_);
  chain.Clear();
}

// Hot.
bool PackedQueue::Publish() {
  if (staged_ == 0) return false;
  // Release: pairs with the driver's acquire of the flags; ids, lengths, the
  // later flags of the batch and the bytes in the buffers come before it.
  ring_.Store<uint16_t>(FlagsOffset(first_slot_), first_flags_,
                        std::memory_order_release);
  memory_->MarkDirty(memory::GuestAddress(ring_address_.value() +
                                          first_slot_ * kDescriptorBytes),
                     kDescriptorBytes);
  const uint16_t count = staged_;
  staged_ = 0;
  // Full fence: pairs with the driver's between its write of the driver event
  // suppression structure and its second look at the next used descriptor. One
  // of us sees the other's write.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // Both fields in one load, so that they belong together.
  const uint32_t event =
      driver_event_.Load<uint32_t>(0, std::memory_order_relaxed);
  switch ((event >> 16) & kRingEventFlagsMask) {
    case kRingEventFlagsDisable:
      return false;
    case kRingEventFlagsDesc:
      // "Only valid if VIRTIO_F_EVENT_IDX has been negotiated." (§2.8.10)
      // Without it, as for the reserved value 3: notify, which is never wrong.
      return !event_idx_ || PackedEventPassed(static_cast<uint16_t>(event),
                                              next_used_, count, size_);
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
  std::atomic_thread_fence(std::memory_order_seq_cst);
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

bool PackedQueue::Fail(Violation violation, DescriptorChain& chain) {
  if (ok()) violation_ = violation;
  chain.Clear();
  return false;
}

}  // namespace annulus::virtio
