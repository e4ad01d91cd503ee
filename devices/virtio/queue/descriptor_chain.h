#ifndef DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_
#define DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "devices/virtio/queue/violation.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

struct ChainState;

// One buffer element: a physically contiguous piece of guest RAM.
struct ChainElement {
  memory::GuestSpan span;
  memory::GuestAddress address;  // Of the span's first byte.
};

// One buffer that the driver made available: its device-readable elements,
// then its device-writable ones (virtio 1.4 §2.7.4 "Message Framing"). A queue
// fills it in Pop() or Take() and takes it back in Push(); the object is then
// reused.
//
// Descriptors are copied once and translated once. What the driver writes to
// its rings or tables afterwards does not change a chain; the bytes of the
// elements are the driver's to change at any time.
//
// An element of 0 bytes is legal and dropped, so elements here are never empty;
// readable() and writable() may be: a device must not count on either.
//
// A chain that was moved from is to be assigned to or destroyed, nothing else.
// One of a batch is not to be moved: its elements stay with the batch.
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
      : owned_(std::make_unique<ChainElement[]>(max_descriptors)),
        elements_(owned_.get()),
        max_descriptors_(max_descriptors) {
    ANNULUS_CHECK(max_descriptors != 0);
  }

  DescriptorChain(DescriptorChain&&) = default;
  DescriptorChain& operator=(DescriptorChain&&) = default;

  absl::Span<const ChainElement> readable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_, readable_count_);
  }
  absl::Span<const ChainElement> writable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_ + readable_count_,
                               count_ - readable_count_);
  }

  // Sums of the elements' bytes; together at most 2^32 - 1.
  uint32_t readable_bytes() const { return readable_bytes_; }
  uint32_t writable_bytes() const { return writable_bytes_; }

  // True between Pop() or Take() and Push().
  bool pending() const { return pending_; }

  // The split ring's head index or the packed ring's buffer id. Meaningful to
  // the driver alone: never an index here.
  uint16_t id() const { return id_; }

  // Packed: how many descriptors of the ring itself the chain takes. Split: of
  // no meaning.
  uint16_t ring_descriptors() const { return ring_descriptors_; }

 private:
  friend class ChainBatch;
  friend class SplitQueue;
  friend class PackedQueue;

  // For ChainBatch, which lends the room.
  DescriptorChain() = default;
  void Borrow(ChainElement* room, uint32_t max_descriptors) {
    elements_ = room;
    max_descriptors_ = max_descriptors;
  }

  uint32_t max_descriptors() const { return max_descriptors_; }

  // Cold. Fills the chain from saved, untrusted elements instead of
  // descriptors; the same rules hold. InvalidArgument, and the chain is empty,
  // where they are broken.
  absl::Status Resume(const memory::GuestMemory& memory,
                      const ChainState& state);

  void Clear() {
    count_ = readable_count_ = 0;
    readable_bytes_ = writable_bytes_ = 0;
    pending_ = false;
  }

  // Hot. Adds one element. REQUIRES: fewer than max_descriptors() were added.
  Violation Append(const memory::GuestMemory& memory, uint64_t addr,
                   uint32_t len, bool writable);

  // Hot. The same for the only element of a chain, the common case: nothing is
  // to be summed up or compared. REQUIRES: room for one.
  Violation AssignOne(const memory::GuestMemory& memory, uint64_t addr,
                      uint32_t len, bool writable);

  // Hot where nobody logs. Marks what the device wrote, the first `written`
  // writable bytes.
  void MarkWritten(const memory::GuestMemory& memory, uint32_t written) const {
    if (ABSL_PREDICT_FALSE(memory.logs_writes())) LogWritten(memory, written);
  }
  void LogWritten(const memory::GuestMemory& memory, uint32_t written) const;

  std::unique_ptr<ChainElement[]> owned_;  // Null for a chain of a batch.
  ChainElement* elements_ = nullptr;       // Not moved while it is pending.
  uint32_t max_descriptors_ = 0;
  uint32_t count_ = 0;
  uint32_t readable_count_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  uint16_t id_ = 0;
  uint16_t ring_descriptors_ = 0;  // Slots taken in the ring itself.
  uint16_t order_ = 0;             // Where in the ring; for IN_ORDER's check.
  bool pending_ = false;
};

inline Violation DescriptorChain::Append(const memory::GuestMemory& memory,
                                         uint64_t addr, uint32_t len,
                                         bool writable) {
  ANNULUS_DCHECK(count_ < max_descriptors_);
  // "The driver MUST place any device-writable descriptor elements after any
  // device-readable descriptor elements." (§2.7.4.2, §2.8.17)
  if (ABSL_PREDICT_FALSE(!writable && count_ != readable_count_)) {
    return Violation::kReadableAfterWritable;
  }
  // Nothing forbids an empty element; its address is never used.
  if (len == 0) return Violation::kNone;
  // "Drivers MUST NOT add a descriptor chain longer than 2^32 bytes in total"
  // (§2.7.5.2). The very last of these byte counts is refused too, for the used
  // length has 32 bits.
  const std::optional<uint32_t> total =
      CheckedAdd<uint32_t>(readable_bytes_ + writable_bytes_, len);
  if (ABSL_PREDICT_FALSE(!total.has_value())) return Violation::kChainTooLarge;
  const memory::GuestAddress address(addr);
  const std::optional<memory::GuestSpan> span = memory.Map(address, len);
  if (ABSL_PREDICT_FALSE(!span.has_value())) {
    return Violation::kElementOutsideRam;
  }
  elements_[count_++] = {.span = *span, .address = address};
  if (writable) {
    writable_bytes_ += len;
  } else {
    readable_bytes_ += len;
    ++readable_count_;
  }
  return Violation::kNone;
}

inline Violation DescriptorChain::AssignOne(const memory::GuestMemory& memory,
                                            uint64_t addr, uint32_t len,
                                            bool writable) {
  ANNULUS_DCHECK(max_descriptors_ != 0);
  const uint32_t count = len != 0;
  count_ = count;
  if (writable) {
    readable_count_ = readable_bytes_ = 0;
    writable_bytes_ = len;
  } else {
    readable_count_ = count;
    readable_bytes_ = len;
    writable_bytes_ = 0;
  }
  const memory::GuestAddress address(addr);
  const std::optional<memory::GuestSpan> span = memory.Map(address, len);
  if (ABSL_PREDICT_FALSE(!span.has_value())) {
    return len == 0 ? Violation::kNone : Violation::kElementOutsideRam;
  }
  elements_[0] = {.span = *span, .address = address};
  return Violation::kNone;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_DESCRIPTOR_CHAIN_H_
