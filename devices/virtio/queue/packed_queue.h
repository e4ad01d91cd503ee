#ifndef DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_
#define DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/descriptor_words.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/violation.h"
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
//   popped and not yet pushed.
// Allocation: none.
class PackedQueue {
 public:
  // Cold. `memory` must outlive the queue. InvalidArgument if the size is 0 or
  // above 32768, or an area is misaligned or not inside guest RAM.
  static absl::StatusOr<PackedQueue> Create(const memory::GuestMemory& memory
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
  // notification (§2.8.10 "Driver and Device Event Suppression").
  [[nodiscard]] bool Publish();

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

 private:
  PackedQueue(const memory::GuestMemory& memory, const QueueConfig& config);

  Violation Collect(DescriptorChain& chain) const;
  Violation CollectIndirect(const DescriptorWords& table_descriptor,
                            DescriptorChain& chain) const;
  ABSL_ATTRIBUTE_COLD bool Fail(Violation violation, DescriptorChain& chain);
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

  // Trusted shadows; the guest's copies are never read back.
  PackedPosition next_available_;  // First descriptor not yet popped.
  PackedPosition next_used_;       // Where the next used descriptor goes.
  uint16_t in_flight_ = 0;         // Descriptors popped and not pushed.

  // The batch pushed and not yet published: all flags are in place but the
  // first, which hides the rest from a driver that reads in ring order.
  uint16_t staged_ = 0;  // Descriptors.
  uint16_t first_slot_ = 0;
  uint16_t first_flags_ = 0;

  Violation violation_ = Violation::kNone;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_PACKED_QUEUE_H_
