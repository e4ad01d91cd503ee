// SplitQueue: taking what the driver made available. Citations are of virtio
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
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

// A buffer without these is the one descriptor.
constexpr uint16_t kLong = kSplitDescNext | kSplitDescIndirect;

}  // namespace

// False if the driver's index is impossible. Afterwards as many chains are in
// flight or available as there are descriptors at most.
bool SplitQueue::FetchAvailableIndex() {
  // Acquire: pairs with the driver's release of idx, so that the ring entries
  // and descriptors before it are seen.
  const uint16_t index = available_.Load<uint16_t>(
      offsetof(SplitAvailableHeader, idx), std::memory_order_acquire);
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
  if (!TakeNext(chain, /*may_wait=*/false)) return false;
  return ABSL_PREDICT_TRUE(inflight_ == nullptr) || Note(&chain, 1) != 0;
}

// Hot.
uint32_t SplitQueue::Take(ChainBatch& batch) {
  batch.Clear();
  return Fill(batch);
}

// Hot.
uint32_t SplitQueue::TakeMore(ChainBatch& batch) {
  batch.MakeRoom();
  return Fill(batch);
}

// Hot. Adds to what the batch has; returns how many it added.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline uint32_t SplitQueue::Fill(
    ChainBatch& batch) {
  const uint32_t before = batch.count_;
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

// Before anyone sees the chains. Returns `count`.
ABSL_ATTRIBUTE_NOINLINE uint32_t SplitQueue::Note(const DescriptorChain* chains,
                                                  uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) inflight_->Note(chains[i].id_);
  return count;
}

// Hot. Takes buffers of one descriptor each, the common case, up to anything
// else: TakeNext() finds out what that is.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void SplitQueue::TakeRun(
    ChainBatch& batch) {
  const uint32_t waiting =
      static_cast<uint16_t>(available_index_ - next_available_);
  const uint32_t most =
      std::min({waiting, batch.max_chains_ - batch.count_,
                batch.max_descriptors_ - batch.used_descriptors_});
  const uint32_t mask = size_ - 1u;
  ChainElement* element = batch.elements_.get() + batch.used_descriptors_;
  DescriptorChain* chain = batch.chains_.data() + batch.count_;
  uint32_t taken = 0;
  for (; taken < most; ++taken, ++chain) {
    const uint32_t index = next_available_ + taken;
    const uint16_t head = available_.Load<uint16_t>(
        sizeof(SplitAvailableHeader) + (index & mask) * sizeof(uint16_t),
        std::memory_order_relaxed);
    if (ABSL_PREDICT_FALSE(head >= size_)) break;
    const DescriptorWords descriptor = LoadDescriptor(descriptors_, head);
    const uint16_t flags = descriptor.split_flags();
    if ((flags & kLong) != 0) break;
    chain->Borrow(element, 1);
    if (ABSL_PREDICT_FALSE(chain->AssignOne(*memory_, descriptor.addr,
                                            descriptor.len(),
                                            (flags & kSplitDescWrite) != 0) !=
                           Violation::kNone)) {
      break;  // TakeNext() finds it again.
    }
    chain->id_ = head;
    chain->order_ = static_cast<uint16_t>(index);
    chain->pending_ = true;
    element += chain->count_;  // Not by an empty one.
  }
  batch.count_ += taken;
  batch.used_descriptors_ =
      static_cast<uint32_t>(element - batch.elements_.get());
  next_available_ = static_cast<uint16_t>(next_available_ + taken);
}

// Hot.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool SplitQueue::TakeNext(
    DescriptorChain& chain, bool may_wait) {
  chain.Clear();
  if (ABSL_PREDICT_FALSE(!ok())) return false;
  if (next_available_ == available_index_) {
    if (ABSL_PREDICT_FALSE(!FetchAvailableIndex())) {
      violation_ = Violation::kAvailableIndexJumped;
      return false;
    }
    if (next_available_ == available_index_) return false;
  }
  const size_t slot = next_available_ & (size_ - 1);
  const uint16_t head = available_.Load<uint16_t>(
      sizeof(SplitAvailableHeader) + slot * sizeof(uint16_t),
      std::memory_order_relaxed);
  if (ABSL_PREDICT_FALSE(head >= size_)) {
    violation_ = Violation::kHeadOutOfRange;
    return false;
  }
  const DescriptorWords descriptor = LoadDescriptor(descriptors_, head);
  const uint16_t flags = descriptor.split_flags();
  const Violation violation =
      (flags & kLong) == 0
          ? chain.AssignOne(*memory_, descriptor.addr, descriptor.len(),
                            (flags & kSplitDescWrite) != 0)
          : CollectList(descriptor, chain);
  if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) {
    chain.Clear();
    if (violation == Violation::kChainTooLong && may_wait) return false;
    violation_ = violation;
    return false;
  }
  chain.id_ = head;
  chain.order_ = next_available_;
  chain.pending_ = true;
  ++next_available_;
  return true;
}

Violation SplitQueue::CollectList(DescriptorWords descriptor,
                                  DescriptorChain& chain) const {
  const uint32_t limit = std::min<uint32_t>(size_, chain.max_descriptors());
  for (uint32_t seen = 1;; ++seen) {
    const uint16_t flags = descriptor.split_flags();
    if ((flags & kSplitDescIndirect) != 0) {
      // "zero or more normal chained descriptors followed by a single
      // descriptor with flags&VIRTQ_DESC_F_INDIRECT" (§2.7.5.3.2)
      return CollectIndirect(descriptor, seen - 1, chain);
    }
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (flags & kSplitDescWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
    if ((flags & kSplitDescNext) == 0) return Violation::kNone;
    const uint16_t next = descriptor.split_next();
    if (ABSL_PREDICT_FALSE(next >= size_)) return Violation::kNextOutOfRange;
    // "this implies that loops in the descriptor chain are forbidden!"
    // (§2.7.5.2)
    if (seen == limit) return Violation::kChainTooLong;
    descriptor = LoadDescriptor(descriptors_, next);
  }
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

}  // namespace annulus::virtio
