#include "memory/guest_memory.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"

namespace annulus::memory {
namespace {

class GuestMemoryTest : public testing::Test {
 protected:
  GuestRegion Region(uint64_t start, uint64_t size) {
    backing_.emplace_back(size);
    return {.start = GuestAddress(start),
            .size = size,
            .host = backing_.back().data()};
  }

  std::vector<std::vector<uint8_t>> backing_;
};

TEST_F(GuestMemoryTest, RangeEndsAtTheRegionButNotBeyond) {
  const GuestMemory memory = GuestMemory::Create({Region(0x1000, 64)}).value();
  EXPECT_TRUE(memory.Map(GuestAddress(0x1000), 64).has_value());
  EXPECT_TRUE(memory.Map(GuestAddress(0x103f), 1).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(0x103f), 2).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(0xfff), 1).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(0x1040), 1).has_value());
}

TEST_F(GuestMemoryTest, LengthThatWrapsTheAddressSpaceIsRefused) {
  const GuestMemory memory = GuestMemory::Create({Region(0x1000, 64)}).value();
  EXPECT_FALSE(memory.Map(GuestAddress(0x1010), UINT64_MAX).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(UINT64_MAX), 2).has_value());
}

TEST_F(GuestMemoryTest, RangeAcrossAdjacentRegionsIsRefused) {
  const GuestMemory memory =
      GuestMemory::Create({Region(0, 64), Region(64, 64)}).value();
  EXPECT_TRUE(memory.Map(GuestAddress(64), 64).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(60), 8).has_value());
}

TEST_F(GuestMemoryTest, EveryOfManyRegionsIsFoundAndNoHoleIs) {
  std::vector<GuestRegion> regions;
  for (uint64_t i = 10; i-- > 0;) regions.push_back(Region(i * 0x1000, 0x800));
  const GuestMemory memory = GuestMemory::Create(std::move(regions)).value();
  for (uint64_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(memory.Map(GuestAddress(i * 0x1000), 0x800).has_value());
    EXPECT_FALSE(memory.Map(GuestAddress(i * 0x1000 + 0x800), 1).has_value());
  }
}

TEST_F(GuestMemoryTest, TableSurvivesBeingMoved) {
  GuestMemory first = GuestMemory::Create({Region(0, 64)}).value();
  GuestMemory second = GuestMemory::Create({Region(0x2000, 64)}).value();
  second = std::move(first);
  EXPECT_TRUE(second.Map(GuestAddress(0), 64).has_value());
  EXPECT_FALSE(second.Map(GuestAddress(0x2000), 64).has_value());
}

TEST_F(GuestMemoryTest, BadTablesAreRefused) {
  EXPECT_FALSE(GuestMemory::Create({}).ok());
  EXPECT_FALSE(GuestMemory::Create({Region(0, 64), Region(63, 64)}).ok());
  EXPECT_FALSE(GuestMemory::Create({Region(UINT64_MAX - 8, 64)}).ok());
  EXPECT_FALSE(GuestMemory::Create({{.start = GuestAddress(0)}}).ok());
}

TEST_F(GuestMemoryTest, LoadsAndStoresAreLittleEndian) {
  const GuestMemory memory = GuestMemory::Create({Region(0, 64)}).value();
  const GuestSpan span = *memory.Map(GuestAddress(8), 8);
  span.Store<uint32_t>(4, 0x11223344, std::memory_order_release);
  uint8_t bytes[4];
  ASSERT_TRUE(memory.Read(GuestAddress(12), absl::MakeSpan(bytes)));
  EXPECT_EQ(bytes[0], 0x44);
  EXPECT_EQ(bytes[3], 0x11);
  EXPECT_EQ(span.Load<uint16_t>(6, std::memory_order_acquire), 0x1122);
}

TEST_F(GuestMemoryTest, FailedWriteChangesNothing) {
  const GuestMemory memory = GuestMemory::Create({Region(0, 8)}).value();
  const std::vector<uint8_t> data(9, 0xff);
  EXPECT_FALSE(memory.Write(GuestAddress(0), data));
  EXPECT_EQ(backing_[0], std::vector<uint8_t>(8, 0));
}

TEST_F(GuestMemoryTest, WritesAreMarkedInTheDirtyLog) {
  DirtyLog log(0x4000);
  const GuestMemory memory =
      GuestMemory::Create({Region(0, 0x4000)}, &log).value();
  const std::vector<uint8_t> data(2, 0xff);
  ASSERT_TRUE(memory.Write(GuestAddress(0x1fff), data));
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{1, 2}));
  EXPECT_TRUE(log.Collect().empty());
}

}  // namespace
}  // namespace annulus::memory
