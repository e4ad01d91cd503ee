#include "devices/pci/config_space.h"

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/pci/config_registers.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::pci {
namespace {

ConfigSpace Space() {
  return ConfigSpace({.vendor_id = 0x1af4,
                      .device_id = 0x1044,
                      .revision_id = 1,
                      .class_code = 0x123456,
                      .subsystem_vendor_id = 0xaaaa,
                      .subsystem_id = 0xbbbb});
}

void Write32(ConfigSpace& space, uint32_t offset, uint32_t value) {
  const uint8_t data[4] = {
      static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
      static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
  space.Write(offset, data);
}

TEST(ConfigSpaceTest, HeaderHasIdentityAndNoInterruptPin) {
  const ConfigSpace space = Space();
  EXPECT_EQ(space.Get32(0x00), 0x10441af4u);
  EXPECT_EQ(space.Get32(0x04), 0u);
  EXPECT_EQ(space.Get32(0x08), 0x12345601u);
  EXPECT_EQ(space.Get8(kConfigHeaderType), 0);
  EXPECT_EQ(space.Get32(0x2c), 0xbbbbaaaau);
  EXPECT_EQ(space.Get8(kConfigInterruptPin), 0);
  EXPECT_EQ(space.Get8(kConfigCapabilitiesPointer), 0);
}

TEST(ConfigSpaceTest, OnlyMaskedBitsAreWritable) {
  ConfigSpace space = Space();
  const ConfigSpace before = space;
  for (uint32_t offset = 0; offset < ConfigSpace::kSize; offset += 4) {
    Write32(space, offset, 0xffffffff);
  }
  for (uint32_t offset = 0; offset < ConfigSpace::kSize; offset += 4) {
    uint32_t writable = 0;
    if (offset == kConfigCommand) writable = 0x0546;
    if (offset == kConfigInterruptLine) writable = 0xff;
    EXPECT_EQ(space.Get32(offset) ^ before.Get32(offset), writable) << offset;
  }
}

TEST(ConfigSpaceTest, AccessBeyondTheEndReadsZeroAndIsIgnored) {
  ConfigSpace space = Space();
  const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
  for (const uint32_t offset :
       {4092u, 4095u, 4096u, 0x7fffffffu, 0xffffffffu}) {
    space.Write(offset, ones);
    std::vector<uint8_t> data(8, 0x55);
    space.Read(offset, absl::MakeSpan(data));
    EXPECT_EQ(data, std::vector<uint8_t>(8, 0)) << offset;
  }
}

TEST(ConfigSpaceTest, CapabilitiesFormAListInOrder) {
  ConfigSpace space = Space();
  const auto first = space.AddCapability({0x09, 0xee, 5, 1, 2});
  const auto second = space.AddCapability({0x11, 0, 3, 4}, {0, 0, 0, 0x80});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, 0x40u);
  EXPECT_EQ(*second, 0x48u) << "capabilities are dword-aligned";
  EXPECT_EQ(space.Get8(kConfigCapabilitiesPointer), 0x40);
  EXPECT_EQ(space.Get8(0x41), 0x48);
  EXPECT_EQ(space.Get8(0x49), 0);
  EXPECT_EQ(space.Get16(kConfigStatus), kStatusCapabilitiesList);
  Write32(space, 0x48, 0xffffffff);
  EXPECT_EQ(space.Get32(0x48), 0x84030011u);
}

TEST(ConfigSpaceTest, CapabilitiesEndAtTwoHundredFiftySixBytes) {
  ConfigSpace space = Space();
  const std::vector<uint8_t> capability(62, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(space.AddCapability(capability).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(space.AddCapability({9, 0}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(space.AddCapability({9}).status()));
}

TEST(ConfigSpaceTest, BarRefusesNumberSizeAndAddressThatCannotBe) {
  ConfigSpace space = Space();
  EXPECT_FALSE(space.AddMemoryBar(1, 0x1000).ok());
  EXPECT_FALSE(space.AddMemoryBar(6, 0x1000).ok());
  EXPECT_FALSE(space.AddMemoryBar(0, 0).ok());
  EXPECT_FALSE(space.AddMemoryBar(0, 8).ok());
  EXPECT_FALSE(space.AddMemoryBar(0, 0x1001).ok());
  EXPECT_FALSE(space.AddMemoryBar(0, 0x1000, memory::GuestAddress(0x800)).ok());
  EXPECT_TRUE(space.AddMemoryBar(4, uint64_t{1} << 40).ok());
}

TEST(ConfigSpaceTest, BarIsSizedByWritingOnes) {
  ConfigSpace space = Space();
  ASSERT_TRUE(space.AddMemoryBar(0, 0x10000).ok());
  ASSERT_TRUE(space.AddMemoryBar(2, uint64_t{1} << 33).ok());
  for (uint32_t offset = kConfigBar0; offset < kConfigBar0 + 24; offset += 4) {
    Write32(space, offset, 0xffffffff);
  }
  EXPECT_EQ(space.Get32(0x10), 0xffff0004u);
  EXPECT_EQ(space.Get32(0x14), 0xffffffffu);
  EXPECT_EQ(space.Get32(0x18), 0x00000004u);
  EXPECT_EQ(space.Get32(0x1c), 0xfffffffeu);
  EXPECT_EQ(space.Get32(0x20), 0u) << "there is no such BAR";
}

TEST(ConfigSpaceTest, BarAnswersOnlyWhileMemoryDecodingIsOn) {
  ConfigSpace space = Space();
  ASSERT_TRUE(
      space.AddMemoryBar(0, 0x1000, memory::GuestAddress(0x1230000000)).ok());
  EXPECT_EQ(space.BarAddress(0), std::nullopt);
  Write32(space, kConfigCommand, kCommandMemorySpace);
  EXPECT_EQ(space.BarAddress(0), memory::GuestAddress(0x1230000000));
  EXPECT_EQ(space.BarAddress(2), std::nullopt);
  Write32(space, kConfigBar0, 0xe0000fff);
  EXPECT_EQ(space.BarAddress(0), memory::GuestAddress(0x12e0000000));
  Write32(space, kConfigBar0, 0);
  Write32(space, kConfigBar0 + 4, 0);
  EXPECT_EQ(space.BarAddress(0), std::nullopt) << "0 means not placed";
}

}  // namespace
}  // namespace annulus::pci
