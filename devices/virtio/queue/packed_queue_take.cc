// PackedQueue: taking what the driver made available. Citations are of virtio
// 1.4.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "base/check.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_span.h"
#include "memory/shared_access.h"

namespace annulus::virtio {
namespace {

// A buffer without these is the one descriptor.
constexpr uint16_t kLong = kPackedDescNext | kPackedDescIndirect;

}  // namespace

// Hot.
bool PackedQueue::Pop(DescriptorChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  if (!TakeNext(chain, /*may_wait=*/false)) return false;
  return ABSL_PREDICT_TRUE(inflight_ == nullptr) || Note(&chain, 1) != 0;
}

// Hot.
uint32_t PackedQueue::Take(ChainBatch& batch) {
  batch.Clear();
  return Fill(batch);
}

// Hot.
uint32_t PackedQueue::TakeMore(ChainBatch& batch) {
  batch.MakeRoom();
  return Fill(batch);
}

// Hot. Adds to what the batch has; returns how many it added.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline uint32_t PackedQueue::Fill(
    ChainBatch& batch) {
  const uint32_t before = batch.count_;
  TakeRun(batch);
  while (DescriptorChain* chain = batch.Next()) {
    // Where the rest of the batch's room is too small for a chain, the chain
    // waits for an empty batch, which will tell whether it is too long at all.
    if (!TakeNext(*chain, /*may_wait=*/!batch.empty())) break;
    batch.Commit();
    TakeRun(batch);
  }
  const uint32_t taken = batch.count_ - before;
  if (ABSL_PREDICT_FALSE(inflight_ != nullptr)) {
    return Note(batch.chains_.data() + before, taken);
  }
  return taken;
}

// Before anyone sees the chains: their descriptors are still in the ring.
// Returns `count`.
ABSL_ATTRIBUTE_NOINLINE uint32_t
PackedQueue::Note(const DescriptorChain* chains, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    inflight_->Note(ring_, chains[i].order_, chains[i].ring_descriptors_);
  }
  if (count != 0) inflight_->NoteEnd();
  return count;
}

// Hot. Takes available buffers of one descriptor each, the common case, up to
// the end of the ring or anything else: TakeNext() finds out what that is.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void PackedQueue::TakeRun(
    ChainBatch& batch) {
  if (ABSL_PREDICT_FALSE(!ok())) return;
  const uint32_t start = next_available_.offset;
  const uint32_t most = std::min(
      {size_ - start, size_ - occupied(), batch.max_chains_ - batch.count_,
       batch.max_descriptors_ - batch.used_descriptors_});
  constexpr uint16_t kMask = kPackedDescAvail | kPackedDescUsed | kLong;
  const uint16_t wanted =
      next_available_.wrap ? kPackedDescAvail : kPackedDescUsed;
  ChainElement* element = batch.elements_.get() + batch.used_descriptors_;
  DescriptorChain* chain = batch.chains_.data() + batch.count_;
  uint32_t taken = 0;
  for (; taken < most; ++taken, ++chain) {
    const size_t at = (start + taken) * kDescriptorBytes;
    // Acquire: as in TakeNext().
    const DescriptorWords descriptor = {
        .rest = ring_.Load<uint64_t>(at + offsetof(PackedDescriptor, len),
                                     std::memory_order_acquire)};
    const uint16_t flags = descriptor.packed_flags();
    if ((flags & kMask) != wanted) break;
    if (at % memory::kCacheLineBytes == 0) {
      // What is available comes in batches: the next line is likely to be, too.
      ring_.PrefetchForWrite(at + memory::kCacheLineBytes);
    }
    chain->Borrow(element, 1);
    if (ABSL_PREDICT_FALSE(
            chain->AssignOne(
                *memory_, ring_.Load<uint64_t>(at, std::memory_order_relaxed),
                descriptor.len(),
                (flags & kPackedDescWrite) != 0) != Violation::kNone)) {
      break;  // TakeNext() finds it again.
    }
    chain->id_ = descriptor.packed_id();
    chain->ring_descriptors_ = 1;
    chain->order_ = static_cast<uint16_t>(start + taken);
    chain->pending_ = true;
    element += chain->count_;  // Not by an empty one.
  }
  batch.count_ += taken;
  batch.used_descriptors_ =
      static_cast<uint32_t>(element - batch.elements_.get());
  next_available_.Advance(taken, size_);
}

// Hot.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool PackedQueue::TakeNext(
    DescriptorChain& chain, bool may_wait) {
  const size_t at = next_available_.offset * kDescriptorBytes;
  // Length, id and flags lie in one aligned word and are read together.
  // Acquire: pairs with the driver's release of the first descriptor's flags,
  // so that the rest of it and the rest of its list are seen.
  DescriptorWords descriptor = {
      .rest = ring_.Load<uint64_t>(at + offsetof(PackedDescriptor, len),
                                   std::memory_order_acquire)};
  const uint16_t flags = descriptor.packed_flags();
  chain.Clear();
  if (!IsPackedAvailable(flags, next_available_.wrap) || !ok()) return false;
  descriptor.addr = ring_.Load<uint64_t>(at, std::memory_order_relaxed);
  const uint32_t free = size_ - occupied();
  Violation violation;
  if (ABSL_PREDICT_FALSE(free == 0)) {
    violation = Violation::kTooManyInFlight;
  } else if ((flags & kLong) == 0) {
    chain.id_ = descriptor.packed_id();
    chain.ring_descriptors_ = 1;
    violation = chain.AssignOne(*memory_, descriptor.addr, descriptor.len(),
                                (flags & kPackedDescWrite) != 0);
  } else {
    violation = CollectList(descriptor, free, chain);
  }
  if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) {
    chain.Clear();
    if (violation == Violation::kChainTooLong && may_wait) return false;
    violation_ = violation;
    return false;
  }
  chain.order_ = next_available_.offset;
  chain.pending_ = true;
  next_available_.Advance(chain.ring_descriptors_, size_);
  return true;
}

Violation PackedQueue::CollectList(DescriptorWords descriptor, uint32_t free,
                                   DescriptorChain& chain) const {
  const uint32_t limit = std::min(free, chain.max_descriptors());
  PackedPosition position = next_available_;
  for (uint32_t seen = 1;; ++seen) {
    const uint16_t flags = descriptor.packed_flags();
    if ((flags & kPackedDescIndirect) != 0) {
      // "A driver MUST NOT write direct descriptors with VIRTQ_DESC_F_INDIRECT
      // set in a scatter-gather list linked by VIRTQ_DESC_F_NEXT." (§2.8.19)
      if (seen != 1 || (flags & kPackedDescNext) != 0) {
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
      chain.ring_descriptors_ = static_cast<uint16_t>(seen);
      return Violation::kNone;
    }
    if (seen == limit) return Violation::kChainTooLong;
    position.Advance(1, size_);
    descriptor = LoadDescriptor(ring_, position.offset);
    // "all flags, including VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED,
    // VIRTQ_DESC_F_WRITE must be set/cleared correctly in all descriptors in
    // the list, not just the first one." (§2.8.6) Nobody waits for the rest.
    if (ABSL_PREDICT_FALSE(
            !IsPackedAvailable(descriptor.packed_flags(), position.wrap))) {
      return Violation::kChainIncomplete;
    }
  }
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
    const bool writable =
        (descriptor.packed_flags() & kPackedDescWrite) != 0 && !read_only_;
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(), writable);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
  }
  return Violation::kNone;
}

}  // namespace annulus::virtio
