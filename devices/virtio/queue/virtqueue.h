#ifndef DEVICES_VIRTIO_QUEUE_VIRTQUEUE_H_
#define DEVICES_VIRTIO_QUEUE_VIRTQUEUE_H_

#include <cstdint>
#include <utility>
#include <variant>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/inflight/packed_inflight.h"
#include "devices/virtio/queue/inflight/split_inflight.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// What a queue needs of its own to note what it has in flight.
using InflightNotes =
    std::variant<std::monostate, SplitInflight, PackedInflight>;

// Device side of a virtqueue of the format that was negotiated, chosen once at
// creation (virtio 1.4 §2.6 "Virtqueues").
//
// A device that moves many buffers writes its loop as a generic function and
// calls Visit() once per batch; others call the forwarding functions below.
// For what each does see SplitQueue; PackedQueue has the same.
//
// Threads, Trust, Allocation: as SplitQueue and PackedQueue.
class Virtqueue {
 public:
  // Cold. `memory` must outlive the queue. InvalidArgument where the driver's
  // configuration is unusable.
  static absl::StatusOr<Virtqueue> Create(const memory::GuestMemory& memory
                                              ABSL_ATTRIBUTE_LIFETIME_BOUND,
                                          const QueueConfig& config) {
    if (config.features.Has(kFeatureRingPacked)) {
      ANNULUS_ASSIGN_OR_RETURN(PackedQueue packed,
                               PackedQueue::Create(memory, config));
      return Virtqueue(packed);
    }
    ANNULUS_ASSIGN_OR_RETURN(SplitQueue split,
                             SplitQueue::Create(memory, config));
    return Virtqueue(split);
  }

  // The same, to go on where a queue was saved. InvalidArgument also where
  // `state` contradicts itself or `config`.
  static absl::StatusOr<Virtqueue> Create(
      const memory::GuestMemory& memory ABSL_ATTRIBUTE_LIFETIME_BOUND,
      const QueueConfig& config, const QueueState& state) {
    if (config.features.Has(kFeatureRingPacked)) {
      ANNULUS_ASSIGN_OR_RETURN(PackedQueue packed,
                               PackedQueue::Create(memory, config, state));
      return Virtqueue(packed);
    }
    ANNULUS_ASSIGN_OR_RETURN(SplitQueue split,
                             SplitQueue::Create(memory, config, state));
    return Virtqueue(split);
  }

  // Hot. Calls `function` with the queue as what it is. One branch.
  template <typename Function>
  decltype(auto) Visit(Function&& function) {
    if (PackedQueue* packed = std::get_if<PackedQueue>(&queue_)) {
      return std::forward<Function>(function)(*packed);
    }
    return std::forward<Function>(function)(*std::get_if<SplitQueue>(&queue_));
  }
  template <typename Function>
  decltype(auto) Visit(Function&& function) const {
    if (const PackedQueue* packed = std::get_if<PackedQueue>(&queue_)) {
      return std::forward<Function>(function)(*packed);
    }
    return std::forward<Function>(function)(*std::get_if<SplitQueue>(&queue_));
  }

  // Cold. See PackedQueue; a split queue needs no such leniency.
  void ReadOnly() {
    if (PackedQueue* packed = std::get_if<PackedQueue>(&queue_)) {
      packed->ReadOnly();
    }
  }
  [[nodiscard]] bool Pop(DescriptorChain& chain) {
    return Visit([&](auto& queue) { return queue.Pop(chain); });
  }
  [[nodiscard]] uint32_t Take(ChainBatch& batch) {
    return Visit([&](auto& queue) { return queue.Take(batch); });
  }
  uint32_t TakeMore(ChainBatch& batch) {
    return Visit([&](auto& queue) { return queue.TakeMore(batch); });
  }
  void Push(DescriptorChain& chain, uint32_t written) {
    Visit([&](auto& queue) { queue.Push(chain, written); });
  }
  [[nodiscard]] bool Publish() {
    return Visit([](auto& queue) { return queue.Publish(); });
  }
  void Expose() {
    Visit([](auto& queue) { queue.Expose(); });
  }
  uint32_t undecided() const {
    return Visit([](const auto& queue) { return queue.undecided(); });
  }
  [[nodiscard]] bool EnableNotifications() {
    return Visit([](auto& queue) { return queue.EnableNotifications(); });
  }
  void DisableNotifications() {
    Visit([](auto& queue) { queue.DisableNotifications(); });
  }
  bool HasAvailable() const {
    return Visit([](const auto& queue) { return queue.HasAvailable(); });
  }
  bool ok() const {
    return Visit([](const auto& queue) { return queue.ok(); });
  }
  Violation violation() const {
    return Visit([](const auto& queue) { return queue.violation(); });
  }
  ABSL_ATTRIBUTE_COLD absl::Status status() const {
    return ViolationToStatus(violation());
  }
  uint16_t size() const {
    return Visit([](const auto& queue) { return queue.size(); });
  }
  // What the queue and its buffers lie in.
  const memory::GuestMemory& memory() const {
    return Visit([](const auto& queue) -> const memory::GuestMemory& {
      return queue.memory();
    });
  }
  QueueState Save() const {
    return Visit([](const auto& queue) { return queue.Save(); });
  }
  // Cold. The same, as if what was popped and not pushed had never been popped:
  // whoever goes on pops it again. REQUIRES: chains were pushed in the order in
  // which they were popped, as all devices here do.
  QueueState SaveRewound() const {
    QueueState state = Save();
    state.next_available = state.next_used;
    state.available_wrap = state.used_wrap;
    return state;
  }
  absl::Status ResumeChain(const ChainState& state, DescriptorChain& chain) {
    return Visit([&](auto& queue) { return queue.ResumeChain(state, chain); });
  }
  bool AllResumed() const {
    return Visit([](const auto& queue) { return queue.AllResumed(); });
  }
  // Cold. Begins to note in `region`, which is shared with whoever outlives
  // this process, what is in flight: RecoverQueue() finds it there. `notes` are
  // the queue's own and outlive its use. REQUIRES: chains will be pushed in the
  // order in which they are popped. InvalidArgument where the region is too
  // small or misaligned, or something is in flight already.
  absl::Status NoteInflight(const memory::GuestSpan& region,
                            InflightNotes& notes);
  bool packed() const { return std::holds_alternative<PackedQueue>(queue_); }

 private:
  explicit Virtqueue(const PackedQueue& queue) : queue_(queue) {}
  explicit Virtqueue(const SplitQueue& queue) : queue_(queue) {}

  std::variant<SplitQueue, PackedQueue> queue_;
};

inline absl::Status Virtqueue::NoteInflight(const memory::GuestSpan& region,
                                            InflightNotes& notes) {
  const QueueState state = Save();
  if (state.next_available != state.next_used ||
      state.available_wrap != state.used_wrap) {
    return absl::InvalidArgumentError(
        "a queue with chains in flight cannot begin to note them");
  }
  if (PackedQueue* packed = std::get_if<PackedQueue>(&queue_)) {
    ANNULUS_ASSIGN_OR_RETURN(
        PackedInflight inflight,
        PackedInflight::Create(region, state.size,
                               {state.next_used, state.used_wrap}));
    packed->NoteInflight(notes.emplace<PackedInflight>(std::move(inflight)));
    return absl::OkStatus();
  }
  SplitQueue& split = *std::get_if<SplitQueue>(&queue_);
  ANNULUS_ASSIGN_OR_RETURN(
      SplitInflight inflight,
      SplitInflight::Create(region, state.size, state.next_used,
                            split.UsedHeadBefore(state.next_used)));
  split.NoteInflight(notes.emplace<SplitInflight>(std::move(inflight)));
  return absl::OkStatus();
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_VIRTQUEUE_H_
