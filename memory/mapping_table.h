#ifndef MEMORY_MAPPING_TABLE_H_
#define MEMORY_MAPPING_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace annulus::memory {

// Where the guarded mappings of this process lie, in a form that a signal
// handler can read, whatever thread it interrupts.
//
// Threads: Add() and Remove() lock. Find() and SetLost() are async-signal-safe:
//   lock-free, without system calls or allocation.
class MappingTable {
 public:
  static constexpr size_t kSlots = 33792;

  struct Mapping {
    uint64_t begin = 0;  // Host address.
    uint64_t size = 0;
    int lost_fd = -1;  // An eventfd.
  };
  struct Found {
    size_t slot = kSlots;
    Mapping mapping = {};
  };

  constexpr MappingTable() = default;

  // The slot, or kSlots if there is none left. Nobody touches the mapping
  // before.
  size_t Add(const Mapping& mapping);
  // Nobody touches the mapping any more, but it is still mapped: its addresses
  // belong to no other.
  void Remove(size_t slot);

  // The mapping that `address` is in, which the caller is just touching: it is
  // neither being added nor removed.
  std::optional<Found> Find(uint64_t address) const;

  void SetLost(size_t slot);
  bool lost(size_t slot) const;

 private:
  // A slot that changes has an odd sequence, and another one afterwards. All of
  // it is 0 at first, so that the table is no part of the program's file.
  struct Slot {
    std::atomic<uint64_t> sequence{0};
    std::atomic<uint64_t> begin{0};  // 0: free.
    std::atomic<uint64_t> size{0};
    std::atomic<int> lost_fd{0};
    std::atomic<bool> lost{false};
  };
  static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                std::atomic<int>::is_always_lock_free &&
                std::atomic<bool>::is_always_lock_free);

  void Write(Slot& slot, const Mapping& mapping)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;                              // Held by writers.
  size_t free_ ABSL_GUARDED_BY(mu_) = 0;  // No slot below it is free.
  std::array<Slot, kSlots> slots_;
};

}  // namespace annulus::memory

#endif  // MEMORY_MAPPING_TABLE_H_
