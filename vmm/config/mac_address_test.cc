#include "vmm/config/mac_address.h"

#include <string>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(MacAddressTest, SixPairsOfDigitsAreReadAndWritten) {
  const auto mac = ParseMac("52:54:00:12:aB:fF");
  ASSERT_TRUE(mac.has_value());
  EXPECT_EQ(*mac, (MacBytes{0x52, 0x54, 0x00, 0x12, 0xab, 0xff}));
  EXPECT_EQ(FormatMac(*mac), "52:54:00:12:ab:ff");
}

TEST(MacAddressTest, NothingElseIsAnAddress) {
  for (const std::string& text :
       {std::string(), std::string("52:54:00:12:34"),
        std::string("52:54:00:12:34:56:"), std::string("52:54:00:12:34:5"),
        std::string("52-54-00-12-34-56"), std::string("525400123456"),
        std::string("52:54:00:12:34:5g"), std::string("0x:54:00:12:34:56"),
        std::string("52:54:00:12:34:+5"), std::string("52:54:00:12:34: 5"),
        std::string("52:54:00:12:34:5\0", 17), std::string("off")}) {
    EXPECT_FALSE(ParseMac(text).has_value()) << text;
  }
}

TEST(MacAddressTest, LocalAddressIsOfOneCardWhateverTheRandomBytes) {
  for (int first = 0; first < 256; ++first) {
    const MacBytes mac = LocalMac({static_cast<uint8_t>(first), 1, 2, 3, 4, 5});
    EXPECT_FALSE(IsGroupMac(mac));
    EXPECT_EQ(mac[0] & 2, 2);
    EXPECT_EQ(mac[0] & ~3, first & ~3);
    EXPECT_EQ(mac[5], 5);
  }
  EXPECT_TRUE(IsGroupMac({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_TRUE(IsGroupMac({0x33, 0x33, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace annulus
