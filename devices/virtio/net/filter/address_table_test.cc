#include "devices/virtio/net/filter/address_table.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// `count` different addresses, the first of them 02:00:00:00:00:00.
std::vector<uint8_t> Addresses(size_t count) {
  std::vector<uint8_t> macs;
  for (size_t i = 0; i < count; ++i) {
    macs.insert(macs.end(), {2, 0, 0, 0, 0, static_cast<uint8_t>(i)});
  }
  return macs;
}

TEST(AddressTableTest, EmptyTableContainsNothing) {
  EXPECT_FALSE(AddressTable().Contains(Addresses(1)));
  EXPECT_FALSE(AddressTable().Contains(std::vector<uint8_t>(6)));
}

TEST(AddressTableTest, FullTableContainsItsAddressesAndNoOthers) {
  const AddressTable table(Addresses(AddressTable::kMaxEntries));
  for (size_t i = 0; i < 256; ++i) {
    const std::vector<uint8_t> mac = {2, 0, 0, 0, 0, static_cast<uint8_t>(i)};
    EXPECT_EQ(table.Contains(mac), i < AddressTable::kMaxEntries) << i;
  }
}

TEST(AddressTableTest, EveryByteOfAnAddressCounts) {
  const AddressTable table(std::vector<uint8_t>{2, 3, 4, 5, 6, 7});
  for (size_t i = 0; i < 6; ++i) {
    std::vector<uint8_t> mac = {2, 3, 4, 5, 6, 7};
    EXPECT_TRUE(table.Contains(mac));
    mac[i] ^= 0x80;
    EXPECT_FALSE(table.Contains(mac)) << i;
  }
}

// "it can [...] silently switch to allmulti or promiscuous mode if it is given
// too many addresses"
TEST(AddressTableTest, TableOfTooManyAddressesContainsEveryAddress) {
  const AddressTable table(Addresses(AddressTable::kMaxEntries + 1));
  EXPECT_TRUE(table.Contains(Addresses(1)));
  EXPECT_TRUE(table.Contains(std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace annulus::virtio
