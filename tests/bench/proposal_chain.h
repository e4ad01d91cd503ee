#ifndef TESTS_BENCH_PROPOSAL_CHAIN_H_
#define TESTS_BENCH_PROPOSAL_CHAIN_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/violation.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::bench {

// One buffer of a ProposalQueue: what virtio::DescriptorChain is to the real
// rings, and checked as that is. It says there what each function gives.
//
// Threads: thread-compatible; belongs to the worker of its queue.
// Trust: spans lie in guest RAM and totals do not overflow.
// Allocation: in the constructor only.
class ProposalChain {
 public:
  explicit ProposalChain(uint16_t max_descriptors)
      : owned_(std::make_unique<virtio::ChainElement[]>(max_descriptors)),
        elements_(owned_.get()),
        max_descriptors_(max_descriptors) {
    ANNULUS_CHECK(max_descriptors != 0);
  }

  absl::Span<const virtio::ChainElement> readable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_, readable_count_);
  }
  absl::Span<const virtio::ChainElement> writable() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return absl::MakeConstSpan(elements_ + readable_count_,
                               count_ - readable_count_);
  }
  uint32_t readable_bytes() const { return readable_bytes_; }
  uint32_t writable_bytes() const { return writable_bytes_; }
  bool pending() const { return pending_; }
  uint16_t id() const { return id_; }

 private:
  friend class ProposalBatch;
  friend class ProposalQueue;

  // For ProposalBatch, which lends the room.
  ProposalChain() = default;
  void Borrow(virtio::ChainElement* room, uint32_t max_descriptors) {
    elements_ = room;
    max_descriptors_ = max_descriptors;
  }

  uint32_t max_descriptors() const { return max_descriptors_; }
  void Clear() {
    count_ = readable_count_ = 0;
    readable_bytes_ = writable_bytes_ = 0;
    pending_ = false;
  }

  // Hot. Adds one element without its first `skip` bytes. REQUIRES: fewer than
  // max_descriptors() were added.
  virtio::Violation Append(const memory::GuestMemory& memory, uint64_t addr,
                           uint32_t len, uint32_t skip, bool writable);

  // Hot. The same for the only element of a chain, of which nothing is skipped.
  // REQUIRES: room for one.
  virtio::Violation AssignOne(const memory::GuestMemory& memory, uint64_t addr,
                              uint32_t len, bool writable);

  // Hot where nobody logs. Marks the first `written` writable bytes.
  void MarkWritten(const memory::GuestMemory& memory, uint32_t written) const {
    if (ABSL_PREDICT_FALSE(memory.logs_writes())) LogWritten(memory, written);
  }
  void LogWritten(const memory::GuestMemory& memory, uint32_t written) const;

  std::unique_ptr<virtio::ChainElement[]> owned_;  // Null in a batch.
  virtio::ChainElement* elements_ = nullptr;
  uint32_t max_descriptors_ = 0;
  uint32_t count_ = 0;
  uint32_t readable_count_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  uint16_t id_ = 0;                // The index of the first descriptor.
  uint16_t ring_descriptors_ = 0;  // Slots taken in the ring itself.
  bool pending_ = false;
};

inline virtio::Violation ProposalChain::AssignOne(
    const memory::GuestMemory& memory, uint64_t addr, uint32_t len,
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
    return len == 0 ? virtio::Violation::kNone
                    : virtio::Violation::kElementOutsideRam;
  }
  elements_[0] = {.span = *span, .address = address};
  return virtio::Violation::kNone;
}

inline virtio::Violation ProposalChain::Append(
    const memory::GuestMemory& memory, uint64_t addr, uint32_t len,
    uint32_t skip, bool writable) {
  ANNULUS_DCHECK(count_ < max_descriptors_);
  if (ABSL_PREDICT_FALSE(!writable && count_ != readable_count_)) {
    return virtio::Violation::kReadableAfterWritable;
  }
  if (len <= skip) return virtio::Violation::kNone;  // Nothing is left of it.
  const uint32_t bytes = len - skip;
  const std::optional<uint32_t> total =
      CheckedAdd<uint32_t>(readable_bytes_ + writable_bytes_, bytes);
  if (ABSL_PREDICT_FALSE(!total.has_value())) {
    return virtio::Violation::kChainTooLarge;
  }
  const std::optional<memory::GuestSpan> whole =
      memory.Map(memory::GuestAddress(addr), len);
  if (ABSL_PREDICT_FALSE(!whole.has_value())) {
    return virtio::Violation::kElementOutsideRam;
  }
  elements_[count_++] = {
      .span = skip == 0 ? *whole : whole->Subspan(skip, bytes),
      .address = memory::GuestAddress(addr + skip)};  // Was mapped.
  if (writable) {
    writable_bytes_ += bytes;
  } else {
    readable_bytes_ += bytes;
    ++readable_count_;
  }
  return virtio::Violation::kNone;
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_CHAIN_H_
