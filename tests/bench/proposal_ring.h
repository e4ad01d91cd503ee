#ifndef TESTS_BENCH_PROPOSAL_RING_H_
#define TESTS_BENCH_PROPOSAL_RING_H_

#include <cstddef>
#include <cstdint>

// The ring layout from which the packed virtqueue grew, as its proposal had it:
// no wrap counters, one bit for who owns a descriptor. It is no part of virtio
// and here to be measured against the two rings that are.
//
// All fields are little-endian. Freestanding, as the driver side of the others.

namespace annulus::bench {

// len, index and flags, in this order from the lowest bit of the word on. They
// are written together, and read together.
//
// In a used descriptor `len` is what was written, and `index` names the buffer
// by its first descriptor. Of all descriptors in flight no two have the same
// index.
constexpr uint64_t ProposalWord(uint32_t len, uint16_t index, uint32_t flags) {
  return len | uint64_t{index} << 32 | uint64_t{flags} << 48;
}
constexpr uint32_t ProposalLenOf(uint64_t word) {
  return static_cast<uint32_t>(word);
}
constexpr uint16_t ProposalIndexOf(uint64_t word) {
  return static_cast<uint16_t>(word >> 32);
}
constexpr uint16_t ProposalFlagsOf(uint64_t word) {
  return static_cast<uint16_t>(word >> 48);
}

struct ProposalDescriptor {
  uint64_t addr = 0;
  uint64_t word = 0;  // Always written last.

  constexpr uint32_t len() const { return ProposalLenOf(word); }
  constexpr uint16_t index() const { return ProposalIndexOf(word); }
  constexpr uint16_t flags() const { return ProposalFlagsOf(word); }
};
static_assert(offsetof(ProposalDescriptor, addr) == 0);
static_assert(offsetof(ProposalDescriptor, word) == 8);
static_assert(sizeof(ProposalDescriptor) == 16);

inline constexpr uint16_t kProposalNext = 1;      // VRING_DESC_F_NEXT
inline constexpr uint16_t kProposalWrite = 2;     // VRING_DESC_F_WRITE
inline constexpr uint16_t kProposalIndirect = 4;  // VRING_DESC_F_INDIRECT
// The buffer that follows this one was shown together with it. In the last
// descriptor of an available buffer, the only one of a used buffer.
inline constexpr uint16_t kProposalBatchNext = 0x10;  // VRING_DESC_F_BATCH_NEXT
// The device is to leave the first bytes of this element alone. How many is
// agreed upon elsewhere, as the device's configuration.
inline constexpr uint16_t kProposalOffset = 0x20;  // VRING_DESC_F_OFFSET
inline constexpr uint16_t kProposalHw = 0x80;      // DESC_HW: the device's.

// The word of the last buffer of a batch, which nothing follows.
constexpr uint64_t ProposalBatchEnd(uint64_t word) {
  return word & ~ProposalWord(0, 0, kProposalBatchNext);
}

inline constexpr uint32_t kProposalMaxQueueSize = 1 << 15;

// struct event, idx in the lower half and flags in the upper. Both in one word,
// so that neither side ever sees one of them without the other.
struct ProposalEvent {
  uint32_t word = 0;
};
static_assert(sizeof(ProposalEvent) == 4);

inline constexpr uint16_t kProposalEventEnable = 0;   // VRING_F_EVENT_ENABLE
inline constexpr uint16_t kProposalEventDisable = 1;  // VRING_F_EVENT_DISABLE
inline constexpr uint16_t kProposalEventIdx = 2;      // VRING_F_EVENT_IDX

constexpr uint32_t ProposalEventWord(uint16_t idx, uint16_t flags) {
  return idx | uint32_t{flags} << 16;
}

// Where one side stands. It counts descriptors from 0 to 2 * size and begins
// again, so that two laps can be told apart; kept as the place in the ring and
// the lap, since each descriptor needs the former and only events the sum.
class ProposalCounter {
 public:
  constexpr uint32_t slot() const { return slot_; }
  constexpr uint32_t value(uint32_t size) const {
    return odd_lap_ ? slot_ + size : slot_;
  }
  // REQUIRES: count <= size.
  constexpr void Advance(uint32_t count, uint32_t size) {
    slot_ += count;
    if (slot_ >= size) {
      slot_ -= size;
      odd_lap_ = !odd_lap_;
    }
  }

  // How many descriptors lie from here to `end`, which is ahead by at most one
  // lap: 0 to size.
  constexpr uint32_t DistanceTo(ProposalCounter end, uint32_t size) const {
    return (odd_lap_ == end.odd_lap_ ? 0 : size) + end.slot_ - slot_;
  }

  friend constexpr bool operator==(ProposalCounter, ProposalCounter) = default;

 private:
  uint32_t slot_ = 0;
  bool odd_lap_ = false;
};

// The event idx with which a side standing at `counter` is told of the next
// descriptor: the value that the other side's counter then reaches.
constexpr uint16_t ProposalEventAfter(ProposalCounter counter, uint32_t size) {
  counter.Advance(1, size);
  return static_cast<uint16_t>(counter.value(size));
}

// True if a counter that came to `counter` in `count` steps has reached `idx`
// on its way. Any `idx` is tolerated: one out of range is always reached.
constexpr bool ProposalEventReached(uint16_t idx, ProposalCounter counter,
                                    uint32_t count, uint32_t size) {
  if (idx >= 2 * size) return count != 0;
  const uint32_t value = counter.value(size);
  const uint32_t beyond = value >= idx ? value - idx : value + 2 * size - idx;
  return beyond < count;
}

// Whether the side that wrote `event` wants to hear of these descriptors.
constexpr bool ProposalWantsEvent(uint32_t event, bool event_idx,
                                  ProposalCounter counter, uint32_t count,
                                  uint32_t size) {
  switch (event >> 16) {
    case kProposalEventDisable:
      return false;
    case kProposalEventIdx:
      return !event_idx || count > size ||
             ProposalEventReached(static_cast<uint16_t>(event), counter, count,
                                  size);
    default:
      return true;
  }
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_RING_H_
