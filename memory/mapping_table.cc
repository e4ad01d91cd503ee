#include "memory/mapping_table.h"

#include <algorithm>

namespace annulus::memory {

size_t MappingTable::Add(const Mapping& mapping) {
  MutexLock lock(mu_);
  // Relaxed: writers hold the lock.
  while (free_ < kSlots &&
         slots_[free_].begin.load(std::memory_order_relaxed) != 0) {
    ++free_;
  }
  if (free_ == kSlots) return kSlots;
  slots_[free_].lost.store(false, std::memory_order_relaxed);
  Write(slots_[free_], mapping);
  return free_;
}

void MappingTable::Remove(size_t slot) {
  MutexLock lock(mu_);
  Write(slots_[slot], Mapping());
  free_ = std::min(free_, slot);
}

void MappingTable::Write(Slot& slot, const Mapping& mapping) {
  const uint64_t sequence = slot.sequence.load(std::memory_order_relaxed);
  slot.sequence.store(sequence + 1, std::memory_order_relaxed);
  // Release: pair with the acquires in Find(), which, if it reads one of these
  // values, sees the odd sequence or a later one when it looks again.
  slot.begin.store(mapping.begin, std::memory_order_release);
  slot.size.store(mapping.size, std::memory_order_release);
  slot.lost_fd.store(mapping.lost_fd, std::memory_order_release);
  // Release: pairs with the first acquire in Find(), which, if it reads this
  // sequence, reads none of the values from before.
  slot.sequence.store(sequence + 2, std::memory_order_release);
}

std::optional<MappingTable::Found> MappingTable::Find(uint64_t address) const {
  for (size_t i = 0; i < kSlots; ++i) {
    const Slot& slot = slots_[i];
    // Acquire: all pair with the releases in Write().
    const uint64_t sequence = slot.sequence.load(std::memory_order_acquire);
    const Mapping mapping = {
        .begin = slot.begin.load(std::memory_order_acquire),
        .size = slot.size.load(std::memory_order_acquire),
        .lost_fd = slot.lost_fd.load(std::memory_order_acquire)};
    // A slot that changed meanwhile is of a mapping that nobody touches, so it
    // is not the one, and need not be read again.
    if (sequence % 2 != 0 ||
        slot.sequence.load(std::memory_order_relaxed) != sequence) {
      continue;
    }
    if (mapping.begin != 0 && address >= mapping.begin &&
        address - mapping.begin < mapping.size) {
      return Found{.slot = i, .mapping = mapping};
    }
  }
  return std::nullopt;
}

// Relaxed: the flag guards no other memory.
void MappingTable::SetLost(size_t slot) {
  slots_[slot].lost.store(true, std::memory_order_relaxed);
}

bool MappingTable::lost(size_t slot) const {
  return slots_[slot].lost.load(std::memory_order_relaxed);
}

}  // namespace annulus::memory
