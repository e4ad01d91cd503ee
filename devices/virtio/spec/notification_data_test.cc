#include "devices/virtio/spec/notification_data.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// "struct { vq_index: 16; next_off: 15; next_wrap: 1; }", from bit 0 up.
TEST(NotificationDataTest, FieldsAreWhereTheSpecificationPutsThem) {
  EXPECT_EQ(EncodeNotificationData({.vq_index = 0x1234}), 0x00001234u);
  EXPECT_EQ(EncodeNotificationData({.next_off = 0x7fff}), 0x7fff0000u);
  EXPECT_EQ(EncodeNotificationData({.next_wrap = true}), 0x80000000u);
  EXPECT_EQ(
      EncodeNotificationData({.vq_index = 1, .next_off = 2, .next_wrap = true}),
      0x80020001u);
}

TEST(NotificationDataTest, EveryBitOfAWordHasAPlace) {
  for (int bit = 0; bit < 32; ++bit) {
    for (const uint32_t word : {uint32_t{1} << bit, ~(uint32_t{1} << bit)}) {
      EXPECT_EQ(EncodeNotificationData(DecodeNotificationData(word)), word);
    }
  }
  EXPECT_EQ(
      DecodeNotificationData(0x80020001),
      (NotificationData{.vq_index = 1, .next_off = 2, .next_wrap = true}));
}

}  // namespace
}  // namespace annulus::virtio
