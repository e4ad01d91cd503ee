#ifndef DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_
#define DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_

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
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/inflight/packed_inflight.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// Device side of a packed virtqueue (virtio 1.4 §2.8 "Packed Virtqueues"), of
// any size from 1 to 32768.
//
// Buffer ids are opaque here and echoed: nothing is indexed by them, so that
// one out of range, or used twice at a time, confuses its driver only.
//
// Threads: thread-compatible; after Create() one queue worker owns it.
// Trust: ring contents are guest-controlled. Each field is copied out once and
//   range-checked before use; a violation fails the queue, never the process.
//   Every walk is bounded by the queue size, as are the descriptors that can be
//   popped and not yet exposed as used.
// Allocation: none.
class PackedQueue {
 public:
  // Cold. `memory` must outlive the queue. InvalidArgument if the size is 0 or
  // above 32768, or an area is misaligned or not inside guest RAM.
  static absl::StatusOr<PackedQueue> Create(const memory::GuestMemory& memory
                                                ABSL_ATTRIBUTE_LIFETIME_BOUND,
                                            const QueueConfig& config);

  // The same, to go on where a queue was saved: see queue_state.h.
  // InvalidArgument also where `state` contradicts itself or `config`.
  static absl::StatusOr<PackedQueue> Create(
      const memory::GuestMemory& memory ABSL_ATTRIBUTE_LIFETIME_BOUND,
      const QueueConfig& config, const QueueState& state);

  // Cold. The device only reads the buffers of this queue. DPDK's driver, at
  // least up to 24.11, marks the frame's header in an indirect table as
  // device-writable; from now on nothing in such tables is taken to be so.
  // REQUIRED before Pop().
  void ReadOnly() { read_only_ = true; }

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
  // notification (§2.8.10 "Driver and Device Event Suppression").
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

  // Hot. Advises the driver that none is needed.
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

  // Cold. What is needed to go on later. REQUIRES: all pushed chains are
  // published. Chains in flight are saved by themselves: SaveChain().
  QueueState Save() const;

  // Cold. Takes up a chain that was in flight when the queue was saved, before
  // any Pop(), in the order of the saved state. InvalidArgument, and `chain`
  // not pending, if more descriptors are in flight now than then, or an element
  // is no longer in guest RAM.
  absl::Status ResumeChain(const ChainState& state, DescriptorChain& chain);

  // Cold. False while more descriptors were in flight than have been taken up.
  // A saved state that names fewer is to be refused: the rest would be lost to
  // the driver for good, and with VIRTIO_F_IN_ORDER no chain could be pushed at
  // its place. REQUIRED before Pop().
  bool AllResumed() const { return unresumed_ == 0; }

  // Cold. From now on notes what is in flight, for RecoverQueue(). `inflight`,
  // which began where this queue did, outlives the queue's use. REQUIRES:
  // nothing is in flight, and chains will be pushed in the order in which they
  // are popped.
  void NoteInflight(PackedInflight& inflight) {
    ANNULUS_CHECK(AllResumed());
    inflight_ = &inflight;
  }

 private:
  PackedQueue(const memory::GuestMemory& memory, const QueueConfig& config);

  bool TakeNext(DescriptorChain& chain, bool may_wait);
  uint32_t Fill(ChainBatch& batch);
  void TakeRun(ChainBatch& batch);
  uint32_t Note(const DescriptorChain* chains, uint32_t count);
  Violation CollectList(DescriptorWords descriptor, uint32_t free,
                        DescriptorChain& chain) const;
  Violation CollectIndirect(const DescriptorWords& table_descriptor,
                            DescriptorChain& chain) const;
  // Descriptors that are the device's: popped, and not yet exposed as used. A
  // driver that makes one of them available has flipped its flags without
  // seeing it used.
  uint32_t occupied() const {
    return exposed_.DistanceTo(next_available_, size_);
  }
  void PushInOrder(PackedPosition position, const DescriptorChain& chain,
                   uint32_t written);
  void StageUsed(PackedPosition position, uint16_t id, uint32_t written);
  template <bool kNote>
  void ExposeBatch();
  void ExposeNoted();
  void StoreDeviceEvent(uint16_t desc, uint16_t flags);

  // Constant after Create().
  const memory::GuestMemory* memory_;  // Not owned.
  memory::GuestSpan ring_;
  memory::GuestSpan driver_event_;
  memory::GuestSpan device_event_;
  memory::GuestAddress ring_address_;
  memory::GuestAddress device_event_address_;
  uint16_t size_;
  bool event_idx_;
  bool indirect_;
  bool in_order_;
  bool read_only_ = false;  // See ReadOnly().

  // Trusted shadows; the guest's copies are never read back. In ring order,
  // less than a lap from the first to the last or just one:
  PackedPosition exposed_;         // First that the driver cannot see as used.
  PackedPosition next_used_;       // Where the next used descriptor goes.
  PackedPosition next_available_;  // First not yet popped.

  // Length, id and flags of the first used descriptor that was pushed and is
  // not exposed. The others are in the ring already, but this one's absence
  // hides them from a driver, which reads in ring order.
  uint64_t first_word_ = 0;

  // With IN_ORDER: a run of buffers that one used descriptor, at the place of
  // the run's first, will stand for.
  bool run_open_ = false;
  uint16_t run_id_ = 0;
  PackedPosition run_start_;

  uint32_t undecided_ = 0;  // Descriptors exposed and not yet asked for.
  uint32_t unresumed_ = 0;  // Saved as in flight and not yet taken up.
  PackedInflight* inflight_ = nullptr;  // Not owned; null: nothing is noted.
  Violation violation_ = Violation::kNone;
};

inline void PackedQueue::Push(DescriptorChain& chain, uint32_t written) {
  ANNULUS_DCHECK(chain.pending_);
  written = std::min(written, chain.writable_bytes_);
  chain.MarkWritten(*memory_, written);
  chain.pending_ = false;
  // Field by field, as it was written: a processor waits where it is to read as
  // one what it wrote as two.
  const PackedPosition position = {.offset = next_used_.offset,
                                   .wrap = next_used_.wrap};
  next_used_.Advance(chain.ring_descriptors_, size_);
  if (in_order_) {
    PushInOrder(position, chain, written);
  } else {
    StageUsed(position, chain.id_, written);
  }
}

// Hot. Writes a used descriptor that the driver does not see yet.
inline void PackedQueue::StageUsed(PackedPosition position, uint16_t id,
                                   uint32_t written) {
  // "the device sets the VIRTQ_DESC_F_USED bit in Flags to match the internal
  // Device Ring Wrap Counter. It also sets the VIRTQ_DESC_F_AVAIL bit to match
  // the same value." (§2.8.1)
  const uint64_t flags =
      (position.wrap ? kPackedDescAvail | kPackedDescUsed : 0) |
      (written != 0 ? kPackedDescWrite : 0);
  const uint64_t word = written | uint64_t{id} << 32 | flags << 48;
  if (position.offset == exposed_.offset) {
    first_word_ = word;
    return;
  }
  // Relaxed: exposed by the release of the first word in Expose().
  ring_.Store<uint64_t>(
      position.offset * kDescriptorBytes + offsetof(PackedDescriptor, len),
      word, std::memory_order_relaxed);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_
