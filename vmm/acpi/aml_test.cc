#include "vmm/acpi/aml.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::acpi {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(AmlTest, IntegersTakeTheShortestEncoding) {
  EXPECT_EQ(AmlInteger(0), Bytes({0x00}));
  EXPECT_EQ(AmlInteger(1), Bytes({0x01}));
  EXPECT_EQ(AmlInteger(2), Bytes({0x0a, 2}));
  EXPECT_EQ(AmlInteger(0xff), Bytes({0x0a, 0xff}));
  EXPECT_EQ(AmlInteger(0x100), Bytes({0x0b, 0x00, 0x01}));
  EXPECT_EQ(AmlInteger(0x10000), Bytes({0x0c, 0, 0, 1, 0}));
  EXPECT_EQ(AmlInteger(uint64_t{1} << 32),
            Bytes({0x0e, 0, 0, 0, 0, 1, 0, 0, 0}));
}

// Acpi 6.5 §19.3.4: EISAID("PNP0A03") is 0x030AD041.
TEST(AmlTest, EisaIdIsCompressedWithUpperBytesFirst) {
  EXPECT_EQ(AmlEisaId("PNP0A03"), Bytes({0x0c, 0x41, 0xd0, 0x0a, 0x03}));
  EXPECT_EQ(AmlEisaId("PNP0501"), Bytes({0x0c, 0x41, 0xd0, 0x05, 0x01}));
}

TEST(AmlTest, MethodsAreSerializedAndNotify) {
  EXPECT_EQ(AmlMethod("_EVT", 1, {AmlNotify("PWRB", 0x80)}),
            Bytes({0x14, 13, '_', 'E', 'V', 'T', 0x09, 0x86, 'P', 'W', 'R', 'B',
                   0x0a, 0x80}));
}

TEST(AmlTest, NamesArePaddedToFourCharacters) {
  EXPECT_EQ(AmlName("\\_S5", AmlInteger(1)),
            Bytes({0x08, '\\', '_', 'S', '5', '_', 0x01}));
  EXPECT_EQ(AmlName("PCI0", AmlInteger(0)),
            Bytes({0x08, 'P', 'C', 'I', '0', 0x00}));
}

TEST(AmlTest, StringEndsInAZero) {
  EXPECT_EQ(AmlString("A0"), Bytes({0x0d, 'A', '0', 0}));
}

TEST(AmlTest, PackageCountsItsElements) {
  EXPECT_EQ(AmlPackage({AmlInteger(5), AmlInteger(0)}),
            Bytes({0x12, 5, 2, 0x0a, 5, 0x00}));
}

// §20.2.4: the length counts itself, so the limits lie before 64 and 4096.
TEST(AmlTest, PackageLengthGrowsAtItsLimits) {
  // A buffer's content is its size, as an integer, and the bytes.
  EXPECT_EQ(AmlBuffer(Bytes(60))[1], 63);  // 1 + 2 + 60.
  const Bytes two = AmlBuffer(Bytes(61));  // 2 + 2 + 61 = 65 = 0x41.
  EXPECT_EQ(two[1], 0x41);
  EXPECT_EQ(two[2], 0x04);
  EXPECT_EQ(two.size(), 1u + 65);

  const Bytes two_full = AmlBuffer(Bytes(4095 - 2 - 3));  // 0xfff.
  EXPECT_EQ(two_full[1], 0x4f);
  EXPECT_EQ(two_full[2], 0xff);
  EXPECT_EQ(two_full.size(), 1u + 4095);
  const Bytes three = AmlBuffer(Bytes(4096 - 2 - 3));  // 3 + 3 + 4091 = 0x1001.
  EXPECT_EQ(three[1], 0x81);
  EXPECT_EQ(three[2], 0x00);
  EXPECT_EQ(three[3], 0x01);
  EXPECT_EQ(three.size(), 1u + 4097);
}

TEST(AmlTest, DeviceAndScopeNestTheirTerms) {
  EXPECT_EQ(AmlScope("\\_SB", {AmlDevice("DEV", {})}),
            Bytes({0x10, 0x0d, '\\', '_', 'S', 'B', '_',  //
                   0x5b, 0x82, 0x05, 'D', 'E', 'V', '_'}));
}

}  // namespace
}  // namespace annulus::acpi
