#ifndef VMM_BOOT_MEMORY_MAP_H_
#define VMM_BOOT_MEMORY_MAP_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::boot {

// A run of guest-physical addresses; does not wrap.
struct AddressRange {
  memory::GuestAddress start = {};
  uint64_t size = 0;  // Bytes.

  uint64_t end() const { return start.value() + size; }
  bool Overlaps(const AddressRange& other) const {
    return start.value() < other.end() && other.start.value() < end();
  }
};

// Types of ACPI 6.5 §15 "System Address Map Interfaces", which the E820 table
// and the PVH memory map share.
enum class MemoryType : uint32_t {
  kRam = 1,       // AddressRangeMemory
  kReserved = 2,  // AddressRangeReserved
};

struct MemoryMapEntry {
  AddressRange range = {};
  MemoryType type = MemoryType::kRam;
};

// The E820 table has no room for more.
inline constexpr size_t kMaxMemoryMapEntries = 128;

// What the guest is told about its address space: its RAM, less the part
// between kLowRamEnd and 1 MiB, and `reserved`. Ascending by address.
std::vector<MemoryMapEntry> BuildMemoryMap(
    const memory::GuestMemory& memory, absl::Span<const AddressRange> reserved);

}  // namespace annulus::boot

#endif  // VMM_BOOT_MEMORY_MAP_H_
