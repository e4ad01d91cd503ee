#include "vmm/boot/memory_map.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vmm/boot/layout.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

// Adds the part of [start, end) that lies in [from, to), if any.
void AddClipped(uint64_t start, uint64_t end, uint64_t from, uint64_t to,
                MemoryType type, std::vector<MemoryMapEntry>& map) {
  start = std::max(start, from);
  end = std::min(end, to);
  if (start >= end) return;
  map.push_back({{GuestAddress(start), end - start}, type});
}

}  // namespace

std::vector<MemoryMapEntry> BuildMemoryMap(
    const memory::GuestMemory& memory,
    absl::Span<const AddressRange> reserved) {
  constexpr uint64_t kLow = kLowRamEnd.value();
  constexpr uint64_t kHigh = kHighRamStart.value();
  std::vector<MemoryMapEntry> map;
  for (const memory::GuestRegion& region : memory.regions()) {
    const uint64_t start = region.start.value();
    const uint64_t end = start + region.size;  // GuestMemory: does not wrap.
    AddClipped(start, end, 0, kLow, MemoryType::kRam, map);
    AddClipped(start, end, kLow, kHigh, MemoryType::kReserved, map);
    AddClipped(start, end, kHigh, UINT64_MAX, MemoryType::kRam, map);
  }
  for (const AddressRange& range : reserved) {
    if (range.size != 0) map.push_back({range, MemoryType::kReserved});
  }
  std::sort(map.begin(), map.end(),
            [](const MemoryMapEntry& a, const MemoryMapEntry& b) {
              return a.range.start < b.range.start;
            });
  return map;
}

}  // namespace annulus::boot
