#include "memory/mapping_table.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus::memory {
namespace {

TEST(MappingTableTest, FindsMappingByEachOfItsAddressesAlone) {
  const auto table = std::make_unique<MappingTable>();
  const size_t a = table->Add({.begin = 0x10000, .size = 0x3000, .lost_fd = 7});
  const size_t b = table->Add({.begin = 0x13000, .size = 0x1000, .lost_fd = 8});
  EXPECT_NE(a, b);
  EXPECT_FALSE(table->Find(0).has_value());
  EXPECT_FALSE(table->Find(0xffff).has_value());
  EXPECT_EQ(table->Find(0x10000)->slot, a);
  EXPECT_EQ(table->Find(0x12fff)->slot, a);
  EXPECT_EQ(table->Find(0x12fff)->mapping.lost_fd, 7);
  EXPECT_EQ(table->Find(0x13000)->slot, b);
  EXPECT_FALSE(table->Find(0x14000).has_value());
  table->Remove(a);
  EXPECT_FALSE(table->Find(0x10000).has_value());
  EXPECT_EQ(table->Find(0x13fff)->slot, b);
}

TEST(MappingTableTest, LastAddressesCanBeFound) {
  const auto table = std::make_unique<MappingTable>();
  const size_t slot =
      table->Add({.begin = UINT64_MAX - 0xfff, .size = 0x1000, .lost_fd = 7});
  EXPECT_EQ(table->Find(UINT64_MAX)->slot, slot);
  EXPECT_FALSE(table->Find(0).has_value());
}

TEST(MappingTableTest, LostFlagIsOfTheMappingAndNotOfTheSlot) {
  const auto table = std::make_unique<MappingTable>();
  const size_t slot = table->Add({.begin = 0x1000, .size = 1});
  const size_t other = table->Add({.begin = 0x2000, .size = 1});
  table->SetLost(slot);
  EXPECT_TRUE(table->lost(slot));
  EXPECT_FALSE(table->lost(other));
  table->Remove(slot);
  EXPECT_EQ(table->Add({.begin = 0x1000, .size = 1}), slot);
  EXPECT_FALSE(table->lost(slot));
}

TEST(MappingTableTest, FullTableRefusesAndRecovers) {
  const auto table = std::make_unique<MappingTable>();
  for (uint64_t i = 0; i < MappingTable::kSlots; ++i) {
    ASSERT_EQ(table->Add({.begin = (i + 1) << 12, .size = 0x1000}), i);
  }
  EXPECT_EQ(table->Add({.begin = 1, .size = 1}), MappingTable::kSlots);
  table->Remove(5);
  EXPECT_EQ(table->Add({.begin = 1, .size = 1}), 5u);
}

// What a handler must never see is the begin of one mapping with the size of
// another that took its slot.
TEST(MappingTableTest, ReaderNeverSeesMixtureOfTwoMappings) {
  const auto table = std::make_unique<MappingTable>();
  std::atomic<bool> stop{false};
  absl::StatusOr<Thread> writer = Thread::Start("writer", [&] {
    for (int i = 0; i < 100'000; ++i) {
      // The small one lies before the large one: mixed, they reach over 0x5000.
      table->Remove(table->Add({.begin = 0x1000, .size = 1, .lost_fd = 1}));
      table->Remove(
          table->Add({.begin = 0x8000, .size = 0x8000, .lost_fd = 2}));
    }
    stop.store(true);
  });
  ASSERT_TRUE(writer.ok());
  uint64_t found = 0;
  while (!stop.load()) {
    ASSERT_FALSE(table->Find(0x5000).has_value());
    const std::optional<MappingTable::Found> large = table->Find(0x8000);
    if (!large.has_value()) continue;
    ++found;
    ASSERT_EQ(large->mapping.begin, 0x8000u);
    ASSERT_EQ(large->mapping.lost_fd, 2);
  }
  RecordProperty("found", static_cast<int>(found));
}

}  // namespace
}  // namespace annulus::memory
