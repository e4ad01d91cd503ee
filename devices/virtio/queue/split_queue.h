#ifndef DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_
#define DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/violation.h"
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

  // Hot. Takes the next available chain. False means "none": the queue is
  // empty, or !ok(). REQUIRES: `chain` is not pending.
  [[nodiscard]] bool Pop(DescriptorChain& chain);

  // Hot. Gives a popped `chain` back with `written` bytes, cut to what it can
  // hold; the driver sees it after Publish(). The order may differ from that of
  // Pop().
  void Push(DescriptorChain& chain, uint32_t written);

  // Hot. Exposes all pushed chains; true if the driver wants a used buffer
  // notification (§2.7.7.2 "Used Buffer Notification Suppression").
  [[nodiscard]] bool Publish();

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

 private:
  SplitQueue(const memory::GuestMemory& memory, const QueueConfig& config);

  bool FetchAvailableIndex();
  Violation Collect(uint16_t head, DescriptorChain& chain) const;
  Violation CollectIndirect(const DescriptorWords& table_descriptor,
                            uint32_t seen, DescriptorChain& chain) const;
  ABSL_ATTRIBUTE_COLD bool Fail(Violation violation, DescriptorChain& chain);

  // Constant after Create().
  const memory::GuestMemory* memory_;  // Not owned.
  memory::GuestSpan descriptors_;
  memory::GuestSpan available_;
  memory::GuestSpan used_;
  memory::GuestAddress used_address_;
  uint16_t size_;
  bool event_idx_;
  bool indirect_;

  // Trusted shadows; the guest's copies are never read back. Indices run
  // modulo 2^16.
  uint16_t next_available_ = 0;   // First not yet popped.
  uint16_t available_index_ = 0;  // As last fetched and checked.
  uint16_t next_used_ = 0;        // First not yet pushed.
  uint16_t published_used_ = 0;   // What the driver sees.
  Violation violation_ = Violation::kNone;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_SPLIT_QUEUE_H_
