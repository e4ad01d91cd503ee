#ifndef DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_
#define DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/inflight/split_inflight.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// Device side of a split virtqueue (virtio 1.4 §2.7 "Split Virtqueues").
//
// Threads: thread-compatible; after Create() one queue worker owns it.
// Trust: ring contents are guest-controlled. Each field is copied out once and
//   range-checked before use; a violation fails the queue, never the process.
//   Every walk is bounded by the queue size, as is the number of chains that
//   can be popped and not yet published.
// Allocation: none.
class SplitQueue {
 public:
  // Cold. `memory` must outlive the queue. InvalidArgument if the size is not a
  // power of 2 up to 32768, or an area is misaligned or not inside guest RAM.
  static absl::StatusOr<SplitQueue> Create(const memory::GuestMemory& memory
                                               ABSL_ATTRIBUTE_LIFETIME_BOUND,
                                           const QueueConfig& config);

  // The same, to go on where a queue was saved: see queue_state.h.
  // InvalidArgument also where `state` contradicts itself or `config`.
  static absl::StatusOr<SplitQueue> Create(
      const memory::GuestMemory& memory ABSL_ATTRIBUTE_LIFETIME_BOUND,
      const QueueConfig& config, const QueueState& state);

  // Hot. Takes the next available chain. False means "none": the queue is
  // empty, or !ok(). REQUIRES: `chain` is not pending.
  [[nodiscard]] bool Pop(DescriptorChain& chain);

  // Hot. The same for as many chains as are available and have room in
  // `batch`; how many, 0 as Pop()'s false. Chains before one that fails the
  // queue are taken. REQUIRES: none of the batch is pending.
  [[nodiscard]] uint32_t Take(ChainBatch& batch);

  // Hot. The same, but adds to what is in the batch already; returns how many
  // it added. 0 while HasAvailable(): the batch has no room for the next chain.
  uint32_t TakeMore(ChainBatch& batch);

  // Hot. Gives a popped `chain` back with `written` bytes, cut to what it can
  // hold; the driver sees it after Publish(). The order may differ from that of
  // Pop(), unless VIRTIO_F_IN_ORDER was negotiated, which REQUIRES it.
  void Push(DescriptorChain& chain, uint32_t written);

  // Hot. Exposes all pushed chains; true if the driver wants a used buffer
  // notification (§2.7.7.2 "Used Buffer Notification Suppression").
  [[nodiscard]] bool Publish();

  // Hot. Publish() without the question, which costs a full fence: for a driver
  // that cannot be notified, as it gave no vector or call eventfd and polls, or
  // that is asked later: the next Publish() asks for these chains too.
  void Expose();

  // Hot. How many descriptors or elements were exposed since the last decision.
  uint32_t undecided() const { return undecided_; }

  // Hot. Asks the driver for a notification at the next available buffer. True
  // if a buffer is available already, perhaps without one: pop it, do not
  // sleep.
  [[nodiscard]] bool EnableNotifications();

  // Hot. Advises the driver that none is needed (§2.7.10 "Available Buffer
  // Notification Suppression").
  void DisableNotifications();

  // Hot. True if Pop() has something to look at.
  bool HasAvailable() const;

  // The first violation is latched. status() builds its text on demand.
  bool ok() const { return violation_ == Violation::kNone; }
  Violation violation() const { return violation_; }
  ABSL_ATTRIBUTE_COLD absl::Status status() const {
    return ViolationToStatus(violation_);
  }

  uint16_t size() const { return size_; }
  const memory::GuestMemory& memory() const { return *memory_; }

  // Cold. The head in the used ring's entry before `index`, 0 where it is none:
  // for NoteInflight()'s beginning.
  uint16_t UsedHeadBefore(uint16_t index) const;

  // Cold. What is needed to go on later. REQUIRES: all pushed chains are
  // published. Chains in flight are saved by themselves: SaveChain().
  QueueState Save() const;

  // Cold. Takes up a chain that was in flight when the queue was saved, before
  // any Pop(), in the order of the saved state. InvalidArgument, and `chain`
  // not pending, if more chains are in flight now than then, or an element is
  // no longer in guest RAM.
  absl::Status ResumeChain(const ChainState& state, DescriptorChain& chain);

  // Cold. False while more chains were in flight than have been taken up. A
  // saved state that names fewer is to be refused: the rest would be lost to
  // the driver for good, and with VIRTIO_F_IN_ORDER no chain could be pushed at
  // its place. REQUIRED before Pop().
  bool AllResumed() const { return unresumed_ == 0; }

  // Cold. From now on notes what is in flight, for RecoverQueue(). `inflight`,
  // which began where this queue did, outlives the queue's use. REQUIRES:
  // nothing is in flight, and chains will be pushed in the order in which they
  // are popped.
  void NoteInflight(SplitInflight& inflight) {
    ANNULUS_CHECK(AllResumed());
    inflight_ = &inflight;
  }

 private:
  SplitQueue(const memory::GuestMemory& memory, const QueueConfig& config);

  bool FetchAvailableIndex();
  bool TakeNext(DescriptorChain& chain, bool may_wait);
  uint32_t Fill(ChainBatch& batch);
  void TakeRun(ChainBatch& batch);
  uint32_t Note(const DescriptorChain* chains, uint32_t count);
  Violation CollectList(DescriptorWords descriptor,
                        DescriptorChain& chain) const;
  Violation CollectIndirect(const DescriptorWords& table_descriptor,
                            uint32_t seen, DescriptorChain& chain) const;
  void PushInOrder(uint16_t index, const DescriptorChain& chain,
                   uint32_t written);
  void StageUsed(uint16_t index, uint16_t id, uint32_t written);
  template <bool kNote>
  void ExposeBatch();
  void ExposeNoted();

  // Constant after Create().
  const memory::GuestMemory* memory_;  // Not owned.
  memory::GuestSpan descriptors_;
  memory::GuestSpan available_;
  memory::GuestSpan used_;
  memory::GuestAddress used_address_;
  uint16_t size_;
  bool event_idx_;
  bool indirect_;
  bool in_order_;

  // Trusted shadows; the guest's copies are never read back. Indices run
  // modulo 2^16.
  uint16_t next_available_ = 0;   // First not yet popped.
  uint16_t available_index_ = 0;  // As last fetched and checked.
  uint16_t next_used_ = 0;        // First not yet pushed.
  uint16_t published_used_ = 0;   // What the driver sees.
  uint32_t undecided_ = 0;        // Used, exposed and not yet asked for.
  uint16_t unresumed_ = 0;        // Saved as in flight and not yet taken up.

  // With IN_ORDER: a run of buffers that one used entry, at the place of the
  // run's first, will stand for.
  bool run_open_ = false;
  uint16_t run_id_ = 0;
  uint16_t run_start_ = 0;

  Violation violation_ = Violation::kNone;
  SplitInflight* inflight_ = nullptr;  // Not owned; null: nothing is noted.
};

inline void SplitQueue::Push(DescriptorChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.pending_);
  written = std::min(written, chain.writable_bytes_);
  chain.MarkWritten(*memory_, written);
  chain.pending_ = false;
  const uint16_t index = next_used_++;
  if (in_order_) {
    PushInOrder(index, chain, written);
  } else {
    StageUsed(index, chain.id_, written);
  }
}

// Hot. Writes a used ring entry that the driver does not see yet.
inline void SplitQueue::StageUsed(uint16_t index, uint16_t id,
                                  uint32_t written) {
  const size_t at = sizeof(SplitUsedHeader) +
                    (index & (size_ - 1)) * sizeof(SplitUsedElement);
  // Relaxed: exposed by the release of idx in Expose(). Two stores, for the
  // entries are aligned to 4 bytes only.
  used_.Store<uint32_t>(at + offsetof(SplitUsedElement, id), id,
                        std::memory_order_relaxed);
  used_.Store<uint32_t>(at + offsetof(SplitUsedElement, len), written,
                        std::memory_order_relaxed);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_
