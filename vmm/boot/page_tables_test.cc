#include "vmm/boot/page_tables.h"

#include <optional>

#include "gtest/gtest.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

constexpr uint64_t kPresentAndWritable = 3;
constexpr uint64_t kLarge = 0x80;

// Walks the tables as the processor does.
std::optional<uint64_t> Translate(const SmallGuest& guest, uint64_t address) {
  uint64_t table = kPageTables.value();
  for (int shift = 39; shift >= 21; shift -= 9) {
    const uint64_t entry =
        guest.Number(table + (address >> shift & 511) * 8, 8);
    if ((entry & kPresentAndWritable) != kPresentAndWritable) {
      return std::nullopt;
    }
    if (shift == 21) {
      if ((entry & kLarge) == 0) return std::nullopt;
      return (entry & ~uint64_t{0x1fffff}) + (address & 0x1fffff);
    }
    if ((entry & kLarge) != 0) return std::nullopt;
    table = entry & ~uint64_t{0xfff};
  }
  return std::nullopt;
}

TEST(PageTablesTest, FirstFourGibibytesAreMappedOneToOneAndNoMore) {
  SmallGuest guest(2);
  ASSERT_TRUE(WriteIdentityPageTables(guest.memory()).ok());
  constexpr uint64_t k4GiB = uint64_t{1} << 32;
  for (uint64_t address = 0; address < k4GiB; address += 0x1ff000) {
    ASSERT_EQ(Translate(guest, address), address);
  }
  EXPECT_EQ(Translate(guest, k4GiB - 1), k4GiB - 1);
  EXPECT_EQ(Translate(guest, k4GiB), std::nullopt);
  EXPECT_EQ(Translate(guest, uint64_t{1} << 39), std::nullopt);
}

TEST(PageTablesTest, TablesStayInTheirPlace) {
  SmallGuest guest(2);
  ASSERT_TRUE(WriteIdentityPageTables(guest.memory()).ok());
  EXPECT_EQ(guest.Read(0, kPageTables.value()), Bytes(kPageTables.value()));
  EXPECT_EQ(guest.Read(0xf000, 0x11000), Bytes(0x11000));
}

}  // namespace
}  // namespace annulus::boot
