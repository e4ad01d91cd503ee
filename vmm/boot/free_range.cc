#include "vmm/boot/free_range.h"

#include <algorithm>

#include "vmm/boot/layout.h"

namespace annulus::boot {
namespace {

// The highest page-aligned start of `size` bytes in [from, to).
std::optional<uint64_t> HighestIn(uint64_t from, uint64_t to, uint64_t size) {
  if (to < from || to - from < size) return std::nullopt;
  const uint64_t start = (to - size) & ~(kPageSize - 1);
  if (start < from) return std::nullopt;
  return start;
}

}  // namespace

std::optional<memory::GuestAddress> FindFreeRange(
    const memory::GuestMemory& memory, uint64_t size, uint64_t limit,
    const AddressRange& occupied) {
  std::optional<uint64_t> best;
  for (const memory::GuestRegion& region : memory.regions()) {
    const uint64_t from = std::max(region.start.value(), kHighRamStart.value());
    const uint64_t to = std::min(region.start.value() + region.size, limit);
    // Above what is occupied, or below it.
    std::optional<uint64_t> start =
        HighestIn(std::max(from, occupied.end()), to, size);
    if (!start.has_value()) {
      start = HighestIn(from, std::min(to, occupied.start.value()), size);
    }
    best = std::max(best, start);  // nullopt is the least.
  }
  if (!best.has_value()) return std::nullopt;
  return memory::GuestAddress(*best);
}

}  // namespace annulus::boot
