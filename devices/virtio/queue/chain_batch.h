#ifndef DEVICES_VIRTIO_QUEUE_CHAIN_BATCH_H_
#define DEVICES_VIRTIO_QUEUE_CHAIN_BATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

// Several chains that a queue hands over at once. The elements of all share
// one room, so that a batch of short chains stays in the processor's cache,
// however long a chain might be.
//
//   while (queue.Take(batch) != 0) {
//     for (DescriptorChain& chain : batch.chains()) {
//       queue.Push(chain, Serve(chain));
//     }
//     if (queue.Publish()) interrupt.Trigger();
//   }
//
// A device that may keep chains for later takes with TakeMore() and hands back
// the oldest ones with Release(), after it has pushed them:
//
//   queue.TakeMore(batch);
//   queue.Push(batch.chains()[0], Serve(batch.chains()[0]));
//   batch.Release(1);
//
// Threads, Trust: as DescriptorChain.
// Allocation: in the constructor only.
class ChainBatch {
 public:
  // Up to `max_chains` at a time, of `max_descriptors` elements together. A
  // device makes the latter the greatest size of the queue: any legal chain
  // then fits into an empty batch. Both at least 1.
  ChainBatch(uint16_t max_chains, uint16_t max_descriptors)
      : elements_(std::make_unique<ChainElement[]>(max_descriptors)),
        max_descriptors_(max_descriptors),
        max_chains_(max_chains) {
    ANNULUS_CHECK(max_chains != 0 && max_descriptors != 0);
    chains_.reserve(max_chains);
    while (chains_.size() < max_chains) {
      // The constructor is private, and this class its friend.
      chains_.push_back(DescriptorChain());
    }
  }

  // What Take() or TakeMore() took and was not released, oldest first; pending
  // until pushed. TakeMore() may move them.
  absl::Span<DescriptorChain> chains() ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeSpan(chains_.data() + first_, count_ - first_);
  }

  // Hot. Forgets the `count` oldest, which were pushed. REQUIRES: there are as
  // many.
  void Release(uint32_t count) {
    ANNULUS_DCHECK(count <= count_ - first_);
    first_ += count;
    if (first_ == count_) Clear();
  }

  // Forgets all, pushed or not: their queue is no more.
  void Abandon() {
    for (DescriptorChain& chain : chains()) chain.Clear();
    Clear();
  }

  uint16_t max_chains() const { return static_cast<uint16_t>(max_chains_); }

 private:
  friend class PackedQueue;
  friend class SplitQueue;

  void Clear() {
    first_ = 0;
    count_ = 0;
    used_descriptors_ = 0;
  }

  bool empty() const { return first_ == count_; }

  // Hot. Moves what is left to the front, if much room is lost before it: by
  // then as much was released as is moved, more or less.
  void MakeRoom() {
    if (first_ != 0 && (count_ > max_chains_ / 2 ||
                        used_descriptors_ > max_descriptors_ / 2)) {
      Compact();
    }
  }
  void Compact() {
    const ChainElement* begin = chains_[first_].elements_;
    const size_t shift = static_cast<size_t>(begin - elements_.get());
    std::copy(
        begin,
        static_cast<const ChainElement*>(elements_.get()) + used_descriptors_,
        elements_.get());
    for (uint32_t i = first_; i < count_; ++i) {
      chains_[i - first_] = std::move(chains_[i]);
      chains_[i - first_].elements_ -= shift;
      chains_[i].pending_ = false;
    }
    used_descriptors_ -= static_cast<uint32_t>(shift);
    count_ -= first_;
    first_ = 0;
  }

  // Hot. The place of the next chain, empty, or null where none has room.
  DescriptorChain* Next() {
    if (count_ == max_chains_ || used_descriptors_ == max_descriptors_) {
      return nullptr;
    }
    DescriptorChain& chain = chains_[count_];
    ANNULUS_DCHECK(!chain.pending());
    chain.Borrow(elements_.get() + used_descriptors_,
                 max_descriptors_ - used_descriptors_);
    return &chain;
  }

  // Hot. What Next() gave was filled.
  void Commit() { used_descriptors_ += chains_[count_++].count_; }

  std::unique_ptr<ChainElement[]> elements_;
  uint32_t max_descriptors_;
  uint32_t used_descriptors_ = 0;
  uint32_t first_ = 0;  // Below it, all are released.
  uint32_t count_ = 0;
  const uint32_t max_chains_;
  std::vector<DescriptorChain> chains_;  // Sized once.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_CHAIN_BATCH_H_
