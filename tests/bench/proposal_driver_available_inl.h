#ifndef TESTS_BENCH_PROPOSAL_DRIVER_AVAILABLE_INL_H_
#define TESTS_BENCH_PROPOSAL_DRIVER_AVAILABLE_INL_H_

// proposal_driver.h up to where the device has a buffer. Included from there
// only.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "memory/shared_access.h"
#include "tests/bench/proposal_driver.h"  // IWYU pragma: keep
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {

inline ProposalDriver::ProposalDriver(const ProposalDriverConfig& config)
    : config_(config), free_descriptors_(config.size) {
  for (uint32_t i = 0; i < config_.size; ++i) {
    StoreDescriptor(config_.ring[i], 0, 0);
    config_.slots[i] = {
        .next = static_cast<uint16_t>(i + 1 == config_.size ? 0 : i + 1)};
  }
  StoreEvent(config_.driver_event, 0, kProposalEventEnable);
  StoreEvent(config_.device_event, 0, kProposalEventEnable);
}

inline void ProposalDriver::StoreDescriptor(ProposalDescriptor& descriptor,
                                            uint64_t addr, uint64_t word) {
  // Relaxed: exposed by the release in Expose().
  memory::SharedStore(&descriptor.addr, addr, __ATOMIC_RELAXED);
  memory::SharedStore(&descriptor.word, word, __ATOMIC_RELAXED);
}

inline void ProposalDriver::StoreEvent(ProposalEvent* event, uint16_t idx,
                                       uint16_t flags) {
  memory::SharedStore(&event->word, ProposalEventWord(idx, flags),
                      __ATOMIC_RELAXED);
}

// Hot. Writes the address of the ring's next descriptor; the caller gets the
// rest of it. Each descriptor takes an index of its own from the free list.
inline ProposalDriver::Placed ProposalDriver::Place(
    virtio::DriverElement element, uint32_t flags) {
  const uint16_t index = free_index_;
  free_index_ = config_.slots[index].next;
  const uint32_t slot = next_available_.slot();
  // Relaxed: exposed by the release in Expose().
  memory::SharedStore(&config_.ring[slot].addr, element.addr, __ATOMIC_RELAXED);
  next_available_.Advance(1, config_.size);
  return {.slot = slot,
          .word = ProposalWord(element.len, index, flags | kProposalHw)};
}

// Hot. Places a buffer but for the word of its first descriptor.
inline bool ProposalDriver::Fill(const virtio::DriverElement* readable,
                                 uint32_t readable_count,
                                 const virtio::DriverElement* writable,
                                 uint32_t writable_count, uint16_t& index,
                                 Batch& added) {
  if (readable_count + writable_count != 1) [[unlikely]] {
    return FillMany(readable, readable_count, writable, writable_count, index,
                    added);
  }
  if (free_descriptors_ == 0) [[unlikely]] {
    return false;
  }
  --free_descriptors_;
  ++added_;
  index = free_index_;
  config_.slots[index].count = 1;
  added.first = Place(writable_count != 0 ? *writable : *readable,
                      KindOf(0, readable_count) | kProposalBatchNext);
  added.last = added.first;
  return true;
}

// Of none or several elements.
inline bool ProposalDriver::FillMany(const virtio::DriverElement* readable,
                                     uint32_t readable_count,
                                     const virtio::DriverElement* writable,
                                     uint32_t writable_count, uint16_t& index,
                                     Batch& added) {
  const uint32_t elements = readable_count + writable_count;
  const bool indirect = config_.indirect_tables != nullptr &&
                        elements <= config_.indirect_entries;
  const uint32_t needed = indirect ? 1 : elements;
  if (elements == 0 || elements > config_.size || needed > free_descriptors_) {
    return false;
  }
  free_descriptors_ -= needed;
  added_ += needed;
  index = free_index_;
  config_.slots[index].count = static_cast<uint16_t>(needed);
  if (indirect) {
    added.first =
        Place(FillTable(index, readable, readable_count, writable, elements),
              kProposalIndirect | kProposalBatchNext);
    added.last = added.first;
    return true;
  }
  for (uint32_t i = 0; i < elements; ++i) {
    const bool last = i + 1 == elements;
    added.last =
        Place(i < readable_count ? readable[i] : writable[i - readable_count],
              KindOf(i, readable_count) |
                  (last ? kProposalBatchNext : kProposalNext));
    if (i == 0) {
      added.first = added.last;
    } else {
      // Relaxed: as the address.
      memory::SharedStore(&config_.ring[added.last.slot].word, added.last.word,
                          __ATOMIC_RELAXED);
    }
  }
  return true;
}

// Fills the table of the buffer `head`; returns where it is.
inline virtio::DriverElement ProposalDriver::FillTable(
    uint16_t head, const virtio::DriverElement* readable,
    uint32_t readable_count, const virtio::DriverElement* writable,
    uint32_t elements) {
  const uint32_t entry = uint32_t{head} * config_.indirect_entries;
  for (uint32_t i = 0; i < elements; ++i) {
    const virtio::DriverElement& element =
        i < readable_count ? readable[i] : writable[i - readable_count];
    StoreDescriptor(config_.indirect_tables[entry + i], element.addr,
                    ProposalWord(element.len, 0, KindOf(i, readable_count)));
  }
  return {.addr = config_.indirect_tables_addr +
                  uint64_t{entry} * sizeof(ProposalDescriptor),
          .len = elements * static_cast<uint32_t>(sizeof(ProposalDescriptor))};
}

inline void ProposalDriver::Hide(const Batch& added) {
  if (!hidden_) {
    hidden_ = true;
    hidden_batch_ = added;
  } else {
    // Relaxed: exposed with the first of the batch.
    memory::SharedStore(&config_.ring[added.first.slot].word, added.first.word,
                        __ATOMIC_RELAXED);
    hidden_batch_.last = added.last;
  }
}

// Hot.
inline void ProposalDriver::Expose(const Batch& batch) {
  const uint64_t last = ProposalBatchEnd(batch.last.word);
  uint64_t first = last;
  if (batch.last.slot != batch.first.slot) {
    first = batch.first.word;
    // Relaxed: exposed with the first of the batch.
    memory::SharedStore(&config_.ring[batch.last.slot].word, last,
                        __ATOMIC_RELAXED);
  }
  // Release: pairs with the device's acquire of these flags.
  memory::SharedStore(&config_.ring[batch.first.slot].word, first,
                      __ATOMIC_RELEASE);
}

inline bool ProposalDriver::NeedsNotification() {
  Expose();
  const uint32_t added = added_;
  if (added == 0) return false;
  added_ = 0;
  // Full fence: pairs with the device's between its write of the device event
  // and its second look at the ring.
  memory::FullFence();
  return ProposalWantsEvent(
      memory::SharedLoad(&config_.device_event->word, __ATOMIC_RELAXED),
      config_.event_idx, next_available_, added, config_.size);
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_DRIVER_AVAILABLE_INL_H_
