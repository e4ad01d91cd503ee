#ifndef MEMORY_DIRTY_LOG_H_
#define MEMORY_DIRTY_LOG_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/guest_address.h"

namespace annulus::memory {

// One bit for each 4 KiB page of guest-physical space below a limit, set when
// the device side writes to it. KVM logs what vCPUs write; snapshots and
// migration need both. Page n is bit n % 8 of byte n / 8, which is also the
// format of a vhost-user log.
//
// Threads: thread-safe. Mark() by any worker, Collect() by any one thread.
// Allocation: only in the constructor and in Collect().
class DirtyLog {
 public:
  static constexpr uint64_t kPageSize = 4096;

  // Covers [0, limit) rounded up to a whole page.
  explicit DirtyLog(uint64_t limit);
  // In memory of the caller, which outlives this and which another process may
  // share. REQUIRES: both `bits` and `bytes` are multiples of 8.
  DirtyLog(uint8_t* bits, uint64_t bytes);

  // Hot. Marks the pages that [address, address + length) touches; the part
  // beyond the limit is ignored.
  void Mark(GuestAddress address, uint64_t length);

  // Takes the numbers of all marked pages, ascending, and clears them. A page
  // that is written during the call is in this result or in the next.
  std::vector<uint64_t> Collect();

 private:
  const uint64_t page_count_;
  const uint64_t word_count_;
  const std::unique_ptr<std::atomic<uint64_t>[]> owned_;  // Or null.
  std::atomic<uint64_t>* const words_;
};

}  // namespace annulus::memory

#endif  // MEMORY_DIRTY_LOG_H_
