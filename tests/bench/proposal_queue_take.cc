// proposal_queue.h from the ring to chains.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "base/check.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/violation.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"
#include "tests/bench/proposal_batch.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_queue.h"
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {
namespace {

using virtio::Violation;

// A buffer without these is the one descriptor, all of it.
constexpr uint16_t kLong = kProposalNext | kProposalIndirect | kProposalOffset;

// What the two formats copy out by the same loads, in this one's words.
ProposalDescriptor ToProposal(const virtio::DescriptorWords& words) {
  return {.addr = words.addr, .word = words.rest};
}

}  // namespace

bool ProposalQueue::HasAvailable() const {
  // Relaxed: Pop() acquires.
  return occupied() < size_ && (ProposalFlagsOf(ring_.Load<uint64_t>(
                                    next_available_.slot() * kDescriptorBytes +
                                        offsetof(ProposalDescriptor, word),
                                    std::memory_order_relaxed)) &
                                kProposalHw) != 0;
}

// Hot.
bool ProposalQueue::Pop(ProposalChain& chain) {
  ANNULUS_DCHECK(!chain.pending_);
  return TakeNext(chain, /*may_wait=*/false);
}

// Hot.
uint32_t ProposalQueue::Take(ProposalBatch& batch) {
  batch.Clear();
  TakeRun(batch);
  while (ProposalChain* chain = batch.Next()) {
    // As in virtio::PackedQueue: a chain too long for the rest of the room
    // waits for the next batch.
    if (!TakeNext(*chain, /*may_wait=*/batch.count_ != 0)) break;
    batch.Commit();
    TakeRun(batch);
  }
  return batch.count_;
}

// Hot. Takes available buffers of one descriptor each, up to the end of the
// ring or anything else: TakeNext() finds out what that is. kProposalBatchNext
// would spare the look at whether there is another one, were the driver
// trusted; it would spare little, since that lies in the word of its length.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ProposalQueue::TakeRun(
    ProposalBatch& batch) {
  if (ABSL_PREDICT_FALSE(!ok())) return;
  const uint32_t start = next_available_.slot();
  const uint32_t most = std::min(
      {size_ - start, size_ - occupied(), batch.max_chains_ - batch.count_,
       batch.max_descriptors_ - batch.used_descriptors_});
  virtio::ChainElement* element =
      batch.elements_.get() + batch.used_descriptors_;
  ProposalChain* chain = batch.chains_.data() + batch.count_;
  uint32_t taken = 0;
  for (; taken < most; ++taken, ++chain) {
    const size_t at = (start + taken) * kDescriptorBytes;
    // Acquire: as in TakeNext().
    const uint64_t word = ring_.Load<uint64_t>(
        at + offsetof(ProposalDescriptor, word), std::memory_order_acquire);
    const uint16_t flags = ProposalFlagsOf(word);
    if ((flags & (kProposalHw | kLong)) != kProposalHw) break;
    chain->Borrow(element, 1);
    if (ABSL_PREDICT_FALSE(
            chain->AssignOne(
                *memory_, ring_.Load<uint64_t>(at, std::memory_order_relaxed),
                ProposalLenOf(word),
                (flags & kProposalWrite) != 0) != Violation::kNone)) {
      break;  // TakeNext() finds it again.
    }
    chain->id_ = ProposalIndexOf(word);
    chain->ring_descriptors_ = 1;
    chain->pending_ = true;
    element += chain->count_;  // Not by an empty one.
  }
  batch.count_ += taken;
  batch.used_descriptors_ =
      static_cast<uint32_t>(element - batch.elements_.get());
  next_available_.Advance(taken, size_);
}

// Hot.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ProposalQueue::TakeNext(
    ProposalChain& chain, bool may_wait) {
  chain.Clear();
  if (ABSL_PREDICT_FALSE(!ok()) || occupied() == size_) return false;
  const size_t at = next_available_.slot() * kDescriptorBytes;
  // Acquire: pairs with the driver's release of the first flags of a batch, so
  // that the rest of it is seen.
  const uint64_t word = ring_.Load<uint64_t>(
      at + offsetof(ProposalDescriptor, word), std::memory_order_acquire);
  const uint16_t flags = ProposalFlagsOf(word);
  if ((flags & kProposalHw) == 0) return false;
  chain.id_ = ProposalIndexOf(word);
  Violation violation;
  if ((flags & kLong) == 0) {
    chain.ring_descriptors_ = 1;
    violation = chain.AssignOne(
        *memory_, ring_.Load<uint64_t>(at, std::memory_order_relaxed),
        ProposalLenOf(word), (flags & kProposalWrite) != 0);
  } else {
    violation = CollectList(word, chain);
  }
  if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) {
    chain.Clear();
    if (violation == Violation::kChainTooLong && may_wait) return false;
    violation_ = violation;
    return false;
  }
  chain.pending_ = true;
  next_available_.Advance(chain.ring_descriptors_, size_);
  return true;
}

Violation ProposalQueue::CollectList(uint64_t first_word,
                                     ProposalChain& chain) const {
  const uint32_t limit = std::min(size_ - occupied(), chain.max_descriptors());
  ProposalCounter position = next_available_;
  for (uint32_t seen = 1; seen <= limit; ++seen) {
    ProposalDescriptor descriptor =
        ToProposal(virtio::LoadDescriptor(ring_, position.slot()));
    if (seen == 1) descriptor.word = first_word;  // Looked at already.
    const uint16_t flags = descriptor.flags();
    if (ABSL_PREDICT_FALSE((flags & kProposalHw) == 0)) {
      return Violation::kChainIncomplete;
    }
    position.Advance(1, size_);
    if ((flags & kProposalIndirect) != 0) {
      if (seen != 1 || (flags & kProposalNext) != 0) {
        return Violation::kIndirectWithNext;
      }
      chain.ring_descriptors_ = 1;
      return CollectIndirect(descriptor.addr, descriptor.len(), chain);
    }
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (flags & kProposalOffset) != 0 ? offset_ : 0,
                     (flags & kProposalWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
    if ((flags & kProposalNext) == 0) {
      chain.ring_descriptors_ = static_cast<uint16_t>(seen);
      return Violation::kNone;
    }
  }
  return Violation::kChainTooLong;
}

Violation ProposalQueue::CollectIndirect(uint64_t addr, uint32_t bytes,
                                         ProposalChain& chain) const {
  if (!indirect_) return Violation::kIndirectNotNegotiated;
  if (bytes == 0 || bytes % kDescriptorBytes != 0) {
    return Violation::kIndirectTableLength;
  }
  const uint32_t entries = bytes / kDescriptorBytes;
  if (entries > std::min(size_, chain.max_descriptors())) {
    return Violation::kChainTooLong;
  }
  const memory::GuestAddress address(addr);
  const std::optional<memory::GuestSpan> table = memory_->Map(address, bytes);
  if (!table.has_value()) return Violation::kIndirectTableOutsideRam;
  const bool aligned = address.IsAligned(sizeof(uint64_t));
  for (uint32_t i = 0; i < entries; ++i) {
    const ProposalDescriptor descriptor =
        ToProposal(virtio::LoadIndirectDescriptor(*table, aligned, i));
    // The proposal has DESC_F_WRITE alone valid in a table; DESC_F_OFFSET is
    // taken as well, or buffers in tables could not have it at all.
    const Violation violation =
        chain.Append(*memory_, descriptor.addr, descriptor.len(),
                     (descriptor.flags() & kProposalOffset) != 0 ? offset_ : 0,
                     (descriptor.flags() & kProposalWrite) != 0);
    if (ABSL_PREDICT_FALSE(violation != Violation::kNone)) return violation;
  }
  return Violation::kNone;
}

}  // namespace annulus::bench
