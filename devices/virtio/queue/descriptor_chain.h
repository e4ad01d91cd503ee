#ifndef DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_
#define DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_

#include <cstdint>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "devices/virtio/queue/violation.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// One buffer element: a physically contiguous piece of guest RAM.
struct ChainElement {
  memory::GuestSpan span;
  memory::GuestAddress address;  // Of the span's first byte.
};

// One buffer that the driver made available: its device-readable elements,
// then its device-writable ones (virtio 1.4 §2.7.4 "Message Framing"). A queue
// fills it in Pop() and takes it back in Push(); the object is then reused, for
// it owns the storage.
//
// Descriptors are copied once and translated once. What the driver writes to
// its rings or tables afterwards does not change a chain; the bytes of the
// elements are the driver's to change at any time.
//
// An element of 0 bytes is legal and dropped, so elements here are never empty;
// readable() and writable() may be: a device must not count on either.
//
// Threads: thread-compatible; belongs to the worker of its queue.
// Trust: spans lie in guest RAM and totals do not overflow. How many elements
//   there are, how long and at which addresses, is guest-controlled.
// Allocation: in the constructor only.
class DescriptorChain {
 public:
  // Room for chains of up to `max_descriptors`; a device makes it the greatest
  // size of the queue. A longer chain fails the queue.
  explicit DescriptorChain(uint16_t max_descriptors)
      : elements_(max_descriptors) {}

  DescriptorChain(DescriptorChain&&) = default;
  DescriptorChain& operator=(DescriptorChain&&) = default;

  absl::Span<const ChainElement> readable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_.data(), readable_count_);
  }
  absl::Span<const ChainElement> writable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_.data() + readable_count_,
                               count_ - readable_count_);
  }

  // Sums of the elements' bytes; together at most 2^32 - 1.
  uint32_t readable_bytes() const { return readable_bytes_; }
  uint32_t writable_bytes() const { return writable_bytes_; }

  // True between Pop() and Push().
  bool pending() const { return pending_; }

  // The split ring's head index or the packed ring's buffer id. Meaningful to
  // the driver alone: never an index here.
  uint16_t id() const { return id_; }

 private:
  friend class SplitQueue;
  friend class PackedQueue;

  uint32_t max_descriptors() const {
    return static_cast<uint32_t>(elements_.size());
  }

  void Clear() {
    count_ = readable_count_ = 0;
    readable_bytes_ = writable_bytes_ = 0;
    pending_ = false;
  }

  // Hot. Adds one element. REQUIRES: fewer than max_descriptors() were added.
  Violation Append(const memory::GuestMemory& memory, uint64_t addr,
                   uint32_t len, bool writable);

  // Marks what the device wrote, the first `written` writable bytes.
  void MarkWritten(const memory::GuestMemory& memory, uint32_t written) const;

  std::vector<ChainElement> elements_;  // Sized once.
  uint32_t count_ = 0;
  uint32_t readable_count_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  uint16_t id_ = 0;
  uint16_t ring_descriptors_ = 0;  // Slots taken in the ring itself.
  bool pending_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_
