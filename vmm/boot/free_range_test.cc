#include "vmm/boot/free_range.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t k4GiB = uint64_t{1} << 32;

// As a number; 0 for nullopt.
uint64_t Find(std::vector<std::pair<uint64_t, uint64_t>> regions, uint64_t size,
              uint64_t limit, AddressRange occupied) {
  static uint8_t host;  // Never touched.
  std::vector<memory::GuestRegion> table;
  for (const auto& [start, region_size] : regions) {
    table.push_back(
        {.start = GuestAddress(start), .size = region_size, .host = &host});
  }
  const auto memory = memory::GuestMemory::Create(std::move(table)).value();
  return FindFreeRange(memory, size, limit, occupied)
      .value_or(GuestAddress(0))
      .value();
}

const AddressRange kKernel = {GuestAddress(16 * kMiB), 46 * kMiB};

TEST(FreeRangeTest, TopOfRamIsPreferredAndPageAligned) {
  EXPECT_EQ(Find({{0, 128 * kMiB}}, 5000, k4GiB, kKernel),
            128 * kMiB - 2 * 4096);
  EXPECT_EQ(Find({{0, 128 * kMiB}}, 4096, k4GiB, kKernel), 128 * kMiB - 4096);
}

TEST(FreeRangeTest, LimitIsKept) {
  EXPECT_EQ(Find({{0, 128 * kMiB}}, 4096, 100 * kMiB + 5, kKernel),
            100 * kMiB - 4096);
}

TEST(FreeRangeTest, SpaceBetweenKernelAndEndIsUsedToTheLastByte) {
  EXPECT_EQ(Find({{0, 64 * kMiB}}, 2 * kMiB, k4GiB, kKernel), 62 * kMiB);
}

// A 64 MiB guest with Debian's kernel: there is more room below it.
TEST(FreeRangeTest, PlaceBelowTheKernelIsTakenWhereAboveIsNone) {
  EXPECT_EQ(Find({{0, 64 * kMiB}}, 2 * kMiB + 1, k4GiB, kKernel),
            14 * kMiB - 4096);
  EXPECT_EQ(Find({{0, 64 * kMiB}}, 15 * kMiB, k4GiB, kKernel), kMiB);
  EXPECT_EQ(Find({{0, 64 * kMiB}}, 15 * kMiB + 1, k4GiB, kKernel), 0u);
}

TEST(FreeRangeTest, HighestRegionBelowTheLimitIsTaken) {
  const std::vector<std::pair<uint64_t, uint64_t>> regions = {
      {0, 3 * (k4GiB / 4)}, {k4GiB, k4GiB}};
  EXPECT_EQ(Find(regions, kMiB, UINT64_MAX, kKernel), 2 * k4GiB - kMiB);
  EXPECT_EQ(Find(regions, kMiB, k4GiB, kKernel), 3 * (k4GiB / 4) - kMiB);
  EXPECT_EQ(Find(regions, kMiB, k4GiB + kMiB - 1, kKernel),
            3 * (k4GiB / 4) - kMiB);
}

TEST(FreeRangeTest, FirstMegabyteIsNeverUsed) {
  EXPECT_EQ(Find({{0, kMiB}}, 4096, k4GiB, kKernel), 0u);
  EXPECT_EQ(Find({{0, 32 * kMiB}}, 4096, 4096, kKernel), 0u);
}

TEST(FreeRangeTest, HugeSizesAndLimitsDoNotWrap) {
  EXPECT_EQ(Find({{0, 64 * kMiB}}, UINT64_MAX, UINT64_MAX, kKernel), 0u);
  EXPECT_EQ(Find({{0, 64 * kMiB}}, 4096, 0, kKernel), 0u);
}

}  // namespace
}  // namespace annulus::boot
