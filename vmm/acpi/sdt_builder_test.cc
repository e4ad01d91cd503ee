#include "vmm/acpi/sdt_builder.h"

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::acpi {
namespace {

TEST(SdtBuilderTest, HeaderHasSignatureLengthRevisionAndChecksum) {
  SdtBuilder builder("TEST", 7);
  builder.Append(0x1234, 2).AppendZeros(300);
  const std::vector<uint8_t> table = std::move(builder).Finish();
  ASSERT_EQ(table.size(), 36u + 302);
  EXPECT_EQ(std::string(table.begin(), table.begin() + 4), "TEST");
  EXPECT_EQ(table[4] | table[5] << 8, 338);
  EXPECT_EQ(table[8], 7);
  EXPECT_EQ(table[36], 0x34);
  EXPECT_EQ(table[37], 0x12);
  EXPECT_EQ(std::accumulate(table.begin(), table.end(), uint8_t{0}), 0);
}

TEST(SdtBuilderTest, ChecksumOfWhatSumsToZeroIsZero) {
  EXPECT_EQ(AcpiChecksum({}), 0);
  EXPECT_EQ(AcpiChecksum(std::vector<uint8_t>{0xff, 1}), 0);
  EXPECT_EQ(AcpiChecksum(std::vector<uint8_t>{1}), 0xff);
}

}  // namespace
}  // namespace annulus::acpi
