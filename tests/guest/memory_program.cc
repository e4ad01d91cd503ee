#include <cstdint>

#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/paging.h"
#include "tests/guest/programs.h"

namespace guest {
namespace {

// Up to here is what the loader and this program have put into memory.
constexpr uint64_t kImageEnd = 0x200000;

void UseWord(uint64_t address) {
  MapGigabyte(address);
  MmioWrite<uint64_t>(address, ~address);
}

bool WordIsThere(uint64_t address) {
  return MmioRead<uint64_t>(address) == ~address;
}

}  // namespace

void Memory() {
  const RamMap& ram = Ram();
  GUEST_CHECK(ram.count > 0);
  uint64_t total = 0;
  for (uint64_t i = 0; i < ram.count; ++i) {
    const RamRange& range = ram.ranges[i];
    Print("RAM ", Hex{range.start}, " size ", Hex{range.size});
    total += range.size;
    if (range.start + range.size <= kImageEnd) continue;
    if (range.start >= kImageEnd) UseWord(range.start);
    UseWord(range.start + range.size - 8);
  }
  // All words were written before any is read: each has its own place.
  for (uint64_t i = 0; i < ram.count; ++i) {
    const RamRange& range = ram.ranges[i];
    if (range.start + range.size <= kImageEnd) continue;
    if (range.start >= kImageEnd) GUEST_CHECK(WordIsThere(range.start));
    GUEST_CHECK(WordIsThere(range.start + range.size - 8));
  }
  // The legacy hole below 1 MiB is not RAM for the guest.
  const uint64_t size = NumberOption("size", total);
  GUEST_CHECK(total <= size && total + 0x100000 >= size);
}

}  // namespace guest
