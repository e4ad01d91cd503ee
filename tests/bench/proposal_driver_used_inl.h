#ifndef TESTS_BENCH_PROPOSAL_DRIVER_USED_INL_H_
#define TESTS_BENCH_PROPOSAL_DRIVER_USED_INL_H_

// proposal_driver.h from where the device has used a buffer. Included from
// there only.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "memory/shared_access.h"
#include "tests/bench/proposal_driver.h"  // IWYU pragma: keep
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {

// A descriptor that is not the device's was used only if it had been added, so
// that both this and GetUsed() ask first whether anything is in flight.
inline bool ProposalDriver::HasUsed() const {
  // Relaxed: GetUsed() acquires.
  return free_descriptors_ != config_.size &&
         (ProposalFlagsOf(memory::SharedLoad(
              &config_.ring[next_used_.slot()].word, __ATOMIC_RELAXED)) &
          kProposalHw) == 0;
}

// Hot. As in virtio::PackedDriver: at the first descriptor of a cache line,
// asks for the line after it.
inline void ProposalDriver::PrefetchNextLine() const {
  constexpr uint32_t kLineBytes = 64;
  constexpr uint32_t kPerLine = kLineBytes / sizeof(ProposalDescriptor);
  const uint32_t slot = next_used_.slot();
  if (slot % kPerLine != 0) return;
  const uint32_t next = slot + kPerLine < config_.size ? slot + kPerLine : 0;
  __builtin_prefetch(&config_.ring[next], /*rw=*/1);
}

inline bool ProposalDriver::GetUsed(uint16_t* index, uint32_t* len) {
  if (broken_) [[unlikely]] {
    return false;
  }
  if (free_descriptors_ == config_.size) return false;
  // Acquire: pairs with the device's release of the flags, so that index,
  // length and the buffer's bytes are seen.
  const uint64_t word = memory::SharedLoad(
      &config_.ring[next_used_.slot()].word, __ATOMIC_ACQUIRE);
  if ((ProposalFlagsOf(word) & kProposalHw) != 0) return false;
  PrefetchNextLine();
  const uint16_t head = ProposalIndexOf(word);
  if (!InFlight(head)) [[unlikely]] {
    broken_ = true;
    return false;
  }
  *index = head;
  *len = ProposalLenOf(word);
  const uint32_t count = config_.slots[head].count;
  Free(head, count);
  next_used_.Advance(count, config_.size);
  return true;
}

// Hot. Returns the indices of a buffer to the free list.
inline void ProposalDriver::Free(uint16_t head, uint32_t count) {
  uint16_t tail = head;
  if (count != 1) [[unlikely]] {
    for (uint32_t i = 1; i < count; ++i) tail = config_.slots[tail].next;
  }
  config_.slots[tail].next = free_index_;
  config_.slots[head].count = 0;
  free_index_ = head;
  free_descriptors_ += count;
}

inline bool ProposalDriver::EnableCallbacks() {
  if (config_.event_idx) {
    StoreEvent(config_.driver_event,
               ProposalEventAfter(next_used_, config_.size), kProposalEventIdx);
  } else {
    StoreEvent(config_.driver_event, 0, kProposalEventEnable);
  }
  // Full fence: pairs with the device's between its write of used flags and its
  // reading of the driver event.
  memory::FullFence();
  return HasUsed();
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_DRIVER_USED_INL_H_
