#ifndef VMM_BOOT_FREE_RANGE_H_
#define VMM_BOOT_FREE_RANGE_H_

#include <cstdint>
#include <optional>

#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// The highest page-aligned address at which `size` bytes of RAM lie between
// 1 MiB and `limit`, wholly in one region, and outside of `occupied`; nullopt
// if there is none. REQUIRES: size > 0.
//
// Trust: `size` and `limit` are untrusted.
std::optional<memory::GuestAddress> FindFreeRange(
    const memory::GuestMemory& memory, uint64_t size, uint64_t limit,
    const AddressRange& occupied);

}  // namespace annulus::boot

#endif  // VMM_BOOT_FREE_RANGE_H_
