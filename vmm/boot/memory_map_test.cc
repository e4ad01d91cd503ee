#include "vmm/boot/memory_map.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

constexpr uint64_t k4GiB = uint64_t{1} << 32;

std::vector<std::string> Map(std::vector<memory::GuestRegion> regions,
                             std::vector<AddressRange> reserved = {}) {
  // Never touched: only addresses matter here.
  static uint8_t host;
  for (memory::GuestRegion& region : regions) region.host = &host;
  const auto memory = memory::GuestMemory::Create(std::move(regions)).value();
  std::vector<std::string> lines;
  for (const MemoryMapEntry& entry : BuildMemoryMap(memory, reserved)) {
    lines.push_back(absl::StrFormat(
        "%x-%x %s", entry.range.start.value(), entry.range.end(),
        entry.type == MemoryType::kRam ? "RAM" : "reserved"));
  }
  return lines;
}

TEST(MemoryMapTest, LegacyAreaIsReservedAndTheHoleIsLeftOut) {
  EXPECT_EQ(Map({{.start = GuestAddress(k4GiB), .size = k4GiB},
                 {.start = GuestAddress(0), .size = 0xc0000000}}),
            (std::vector<std::string>{"0-9fc00 RAM", "9fc00-100000 reserved",
                                      "100000-c0000000 RAM",
                                      "100000000-200000000 RAM"}));
}

TEST(MemoryMapTest, ReservedRangesAreSortedIn) {
  EXPECT_EQ(Map({{.start = GuestAddress(0), .size = 0x4000000}},
                {{GuestAddress(0xe0000000), 0x100000}, {GuestAddress(5), 0}}),
            (std::vector<std::string>{"0-9fc00 RAM", "9fc00-100000 reserved",
                                      "100000-4000000 RAM",
                                      "e0000000-e0100000 reserved"}));
}

TEST(MemoryMapTest, RamSmallerThanOneMegabyteHasNoHighPart) {
  EXPECT_EQ(Map({{.start = GuestAddress(0), .size = 0xa0000}}),
            (std::vector<std::string>{"0-9fc00 RAM", "9fc00-a0000 reserved"}));
}

TEST(MemoryMapTest, RangesThatTouchDoNotOverlap) {
  const AddressRange range = {GuestAddress(100), 10};
  EXPECT_FALSE(range.Overlaps({GuestAddress(110), 5}));
  EXPECT_FALSE(range.Overlaps({GuestAddress(90), 10}));
  EXPECT_TRUE(range.Overlaps({GuestAddress(109), 1}));
  EXPECT_TRUE(range.Overlaps({GuestAddress(0), 1000}));
}

}  // namespace
}  // namespace annulus::boot
