#ifndef TESTS_BENCH_PROPOSAL_QUEUE_H_
#define TESTS_BENCH_PROPOSAL_QUEUE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/statusor.h"
#include "base/check.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/violation.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"
#include "tests/bench/proposal_batch.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {

// Device side of the proposed ring, of the shape of virtio::PackedQueue, as
// careful and as carefully written: what they cost can be compared.
//
// The proposal leaves open what a used buffer of several descriptors looks
// like. Here the first of them says it, and DESC_HW is cleared in the others
// too: otherwise they would be available again one lap later.
//
// Threads: thread-compatible; one owner.
// Trust: as virtio::PackedQueue. DESC_HW alone says that a descriptor is
//   available, so one that is popped and not yet used looks as if it were;
//   what is in flight is therefore counted and never popped again.
// Allocation: none.
class ProposalQueue {
 public:
  // Cold. `memory` must outlive the queue. The areas of `config` are the ring,
  // the driver's event and the device's; of its features count
  // VIRTIO_F_INDIRECT_DESC and VIRTIO_F_EVENT_IDX. `offset` is how many bytes
  // DESC_F_OFFSET leaves alone. InvalidArgument as virtio::PackedQueue.
  static absl::StatusOr<ProposalQueue> Create(
      const memory::GuestMemory& memory ABSL_ATTRIBUTE_LIFETIME_BOUND,
      const virtio::QueueConfig& config, uint32_t offset = 0);

  // Hot. As of virtio::PackedQueue.
  [[nodiscard]] bool Pop(ProposalChain& chain);
  [[nodiscard]] uint32_t Take(ProposalBatch& batch);
  void Push(ProposalChain& chain, uint32_t written);
  void Expose();
  [[nodiscard]] bool Publish();
  [[nodiscard]] bool EnableNotifications();
  void DisableNotifications();
  bool HasAvailable() const;

  bool ok() const { return violation_ == virtio::Violation::kNone; }
  virtio::Violation violation() const { return violation_; }
  uint16_t size() const { return static_cast<uint16_t>(size_); }

 private:
  static constexpr size_t kDescriptorBytes = sizeof(ProposalDescriptor);

  ProposalQueue(const memory::GuestMemory& memory,
                const virtio::QueueConfig& config, uint32_t offset);

  bool TakeNext(ProposalChain& chain, bool may_wait);
  void TakeRun(ProposalBatch& batch);
  virtio::Violation CollectList(uint64_t first_word,
                                ProposalChain& chain) const;
  virtio::Violation CollectIndirect(uint64_t addr, uint32_t bytes,
                                    ProposalChain& chain) const;
  // Descriptors popped and not exposed as used: some still have DESC_HW.
  uint32_t occupied() const {
    return exposed_.DistanceTo(next_available_, size_);
  }
  void ClearRest(ProposalCounter position, uint32_t count);
  void StoreWord(uint32_t slot, uint64_t word, std::memory_order order) {
    ring_.Store<uint64_t>(
        slot * kDescriptorBytes + offsetof(ProposalDescriptor, word), word,
        order);
  }
  void StoreDeviceEvent(uint16_t idx, uint16_t flags);

  // Constant after Create().
  const memory::GuestMemory* memory_;  // Not owned.
  memory::GuestSpan ring_;
  memory::GuestSpan driver_event_;
  memory::GuestSpan device_event_;
  memory::GuestAddress ring_address_;
  memory::GuestAddress device_event_address_;
  uint32_t size_;
  uint32_t offset_;
  bool event_idx_;
  bool indirect_;

  // Trusted shadows. In ring order, at most a lap from the first to the last:
  ProposalCounter exposed_;         // First that the driver cannot see as used.
  ProposalCounter next_used_;       // Where the next used descriptor goes.
  ProposalCounter next_available_;  // First not yet popped.

  // The batch that is pushed and not exposed. All of it is in the ring but the
  // first used descriptor's length, index and flags, whose absence hides the
  // rest. Each has kProposalBatchNext, and Expose() takes it from the last.
  uint64_t first_word_ = 0;
  uint64_t last_word_ = 0;
  uint32_t last_slot_ = 0;

  uint32_t undecided_ = 0;  // Descriptors exposed and not yet asked for.
  virtio::Violation violation_ = virtio::Violation::kNone;
};

// In-place: over the descriptors that were popped first, which the device has
// copied.
inline void ProposalQueue::Push(ProposalChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.pending_);
  written = std::min(written, chain.writable_bytes_);
  chain.MarkWritten(*memory_, written);
  chain.pending_ = false;
  const ProposalCounter position = next_used_;
  next_used_.Advance(chain.ring_descriptors_, size_);
  const uint64_t word =
      ProposalWord(written, chain.id_,
                   kProposalBatchNext | (written != 0 ? kProposalWrite : 0));
  last_slot_ = position.slot();
  last_word_ = word;
  if (chain.ring_descriptors_ != 1) [[unlikely]] {
    ClearRest(position, chain.ring_descriptors_);
  }
  if (position.slot() == exposed_.slot()) {
    first_word_ = word;
    return;
  }
  // Relaxed: exposed by the release of the first word in Expose().
  StoreWord(position.slot(), word, std::memory_order_relaxed);
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_QUEUE_H_
