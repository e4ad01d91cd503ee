#ifndef TESTS_BENCH_PROPOSAL_BATCH_H_
#define TESTS_BENCH_PROPOSAL_BATCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "tests/bench/proposal_chain.h"

namespace annulus::bench {

// Several buffers that a ProposalQueue hands over at once: of the shape of
// virtio::ChainBatch, which fills its chains for the real rings alone.
//
// Threads, Trust: as ProposalChain.
// Allocation: in the constructor only.
class ProposalBatch {
 public:
  // As virtio::ChainBatch. Both at least 1.
  ProposalBatch(uint16_t max_chains, uint16_t max_descriptors)
      : elements_(std::make_unique<virtio::ChainElement[]>(max_descriptors)),
        max_descriptors_(max_descriptors),
        max_chains_(max_chains) {
    ANNULUS_CHECK(max_chains != 0 && max_descriptors != 0);
    chains_.reserve(max_chains);
    while (chains_.size() < max_chains) {
      // The constructor is private, and this class its friend.
      chains_.push_back(ProposalChain());
    }
  }

  // What the last Take() took, oldest first; pending until pushed.
  absl::Span<ProposalChain> chains() ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeSpan(chains_.data(), count_);
  }

 private:
  friend class ProposalQueue;

  void Clear() {
    count_ = 0;
    used_descriptors_ = 0;
  }

  // Hot. The place of the next chain, or null where none has room.
  ProposalChain* Next() {
    if (count_ == max_chains_ || used_descriptors_ == max_descriptors_) {
      return nullptr;
    }
    ProposalChain& chain = chains_[count_];
    ANNULUS_DCHECK(!chain.pending());
    chain.Borrow(elements_.get() + used_descriptors_,
                 max_descriptors_ - used_descriptors_);
    return &chain;
  }

  // Hot. What Next() gave was filled.
  void Commit() { used_descriptors_ += chains_[count_++].count_; }

  std::unique_ptr<virtio::ChainElement[]> elements_;
  uint32_t max_descriptors_;
  uint32_t used_descriptors_ = 0;
  uint32_t count_ = 0;
  const uint32_t max_chains_;
  std::vector<ProposalChain> chains_;  // Sized once.
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_BATCH_H_
