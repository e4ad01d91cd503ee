#include "vmm/acpi/aml_resources.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::acpi {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(AmlResourcesTest, IoPortIsFixedAndDecodedIn16Bits) {
  EXPECT_EQ(IoResource(0x3f8, 8),
            Bytes({0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08}));
}

TEST(AmlResourcesTest, FixedMemoryIsWritable) {
  EXPECT_EQ(Memory32FixedResource(0xe8000000, 0x1000),
            Bytes({0x86, 9, 0, 1, 0, 0, 0, 0xe8, 0, 0x10, 0, 0}));
}

TEST(AmlResourcesTest, InterruptIsEdgeHighExclusiveConsumer) {
  EXPECT_EQ(InterruptResource(0x105), Bytes({0x89, 6, 0, 3, 1, 5, 1, 0, 0}));
}

TEST(AmlResourcesTest, AddressSpacesSayBothEndsAndTheirLength) {
  EXPECT_EQ(WordBusNumberResource(0, 15),
            Bytes({0x88, 13, 0, 2, 0x0c, 0,  //
                   0, 0, 0, 0, 15, 0, 0, 0, 16, 0}));
  EXPECT_EQ(WordIoResource(0xd00, 0xffff),
            Bytes({0x88, 13, 0, 1, 0x0c, 3,  //
                   0, 0, 0x00, 0x0d, 0xff, 0xff, 0, 0, 0x00, 0xf3}));
  EXPECT_EQ(DWordMemoryResource(0xc0000000, 0xdfffffff),
            Bytes({0x87, 23,   0,    0,    0x0c, 1,           //
                   0,    0,    0,    0,    0,    0, 0, 0xc0,  //
                   0xff, 0xff, 0xff, 0xdf, 0,    0, 0, 0,     //
                   0,    0,    0,    0x20}));
  const Bytes wide = QWordMemoryResource(uint64_t{1} << 40, (2ull << 40) - 1);
  ASSERT_EQ(wide.size(), 46u);
  EXPECT_EQ(Bytes(wide.begin(), wide.begin() + 6),
            Bytes({0x8a, 43, 0, 0, 0x0c, 1}));
  EXPECT_EQ(Bytes(wide.begin() + 14, wide.begin() + 22),
            Bytes({0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(Bytes(wide.begin() + 38, wide.end()),
            Bytes({0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(AmlResourcesTest, TemplateEndsInAnEndTag) {
  EXPECT_EQ(AmlResourceTemplate({}), Bytes({0x11, 5, 0x0a, 2, 0x79, 0}));
}

}  // namespace
}  // namespace annulus::acpi
