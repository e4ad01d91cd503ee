#include "base/checked_math.h"

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(CheckedMathTest, SumThatWrapsIsRefused) {
  EXPECT_EQ(CheckedAdd<uint64_t>(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(CheckedAdd<uint64_t>(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(CheckedAdd<uint16_t>(0xffff, 1), std::nullopt);
}

TEST(CheckedMathTest, ProductThatWrapsIsRefused) {
  EXPECT_EQ(CheckedMultiply<uint32_t>(0x10000, 0xffff), 0xffff0000u);
  EXPECT_EQ(CheckedMultiply<uint32_t>(0x10000, 0x10000), std::nullopt);
}

TEST(CheckedMathTest, AlignUpNearTheTopIsRefused) {
  EXPECT_EQ(CheckedAlignUp<uint64_t>(4097, 4096), 8192u);
  EXPECT_EQ(CheckedAlignUp<uint64_t>(8192, 4096), 8192u);
  EXPECT_EQ(CheckedAlignUp<uint64_t>(UINT64_MAX - 100, 4096), std::nullopt);
}

TEST(CheckedMathTest, RangeEndsAtTheSizeButNotBeyond) {
  EXPECT_TRUE(RangeFits<uint64_t>(0, 16, 16));
  EXPECT_TRUE(RangeFits<uint64_t>(16, 0, 16));
  EXPECT_FALSE(RangeFits<uint64_t>(1, 16, 16));
  EXPECT_FALSE(RangeFits<uint64_t>(UINT64_MAX, 2, 16));
}

}  // namespace
}  // namespace annulus
