#ifndef MEMORY_GUEST_REGION_H_
#define MEMORY_GUEST_REGION_H_

#include <cstdint>

#include "base/checked_math.h"
#include "memory/guest_address.h"

namespace annulus::memory {

// One run of guest RAM: where the guest sees it, where it is mapped here, and
// which bytes of which file back it (vhost-user and snapshots pass those on).
struct GuestRegion {
  GuestAddress start;
  uint64_t size = 0;  // Bytes, at least one.
  uint8_t* host = nullptr;
  int fd = -1;               // Borrowed; -1 for anonymous memory.
  uint64_t file_offset = 0;  // Of `start` in fd, bytes.

  // True if [address, address + length) lies inside. Proof against overflow.
  bool Contains(GuestAddress address, uint64_t length) const {
    return address >= start &&
           RangeFits(address.value() - start.value(), length, size);
  }
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_REGION_H_
