#include "devices/virtio/net/header_split_check.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

std::string FaultOf(const HeaderSplitOptions& options) {
  const std::optional<HeaderSplitFault> fault = FindHeaderSplitFault(options);
  if (!fault.has_value()) return "";
  return absl::StrCat(fault->field, ": ", fault->reason);
}

std::string FaultOf(const HeaderSplitNumbers& numbers) {
  return FaultOf(HeaderSplitOptions{.numbers = numbers});
}

TEST(HeaderSplitCheckTest, DefaultsAreAsTheyMustBe) {
  EXPECT_EQ(FaultOf(HeaderSplitOptions{}), "");
  EXPECT_EQ(FaultOf(HeaderSplitOptions{.offered = true}), "");
}

TEST(HeaderSplitCheckTest, FeatureBitsAreNobodyElses) {
  EXPECT_EQ(FaultOf({.split_feature = 64}),
            "split_feature: 64 is not below 64");
  EXPECT_EQ(FaultOf({.split_feature = 0xffffffff}),
            "split_feature: 4294967295 is not below 64");
  EXPECT_EQ(
      FaultOf({.split_feature = 17}),
      "split_feature: 17 belongs to ctrl_vq; 4, 44 to 49 and 58 are free");
  EXPECT_EQ(FaultOf({.header_queue_feature = 32}),
            "header_queue_feature: 32 belongs to virtio 1.4; 4, 44 to 49 and "
            "58 are free");
  int free = 0;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    free += FaultOf({.split_feature = bit, .header_queue_feature = 58}).empty();
  }
  EXPECT_EQ(free, 7);
}

TEST(HeaderSplitCheckTest, NumbersOfOneKindAreDifferent) {
  EXPECT_EQ(FaultOf({.split_feature = 4}),
            "header_queue_feature: 4 is split_feature, too");
  EXPECT_EQ(FaultOf({.header_queue_class = 0x80}),
            "header_queue_class: 128 is split_class, too");
  EXPECT_EQ(FaultOf({.split_feature = 4, .header_queue_feature = 58}), "");
}

TEST(HeaderSplitCheckTest, FlagIsOneBitThatVirtioDoesNotUse) {
  for (int flag = 0; flag < 256; ++flag) {
    const bool good =
        flag == 8 || flag == 16 || flag == 32 || flag == 64 || flag == 128;
    EXPECT_EQ(FaultOf({.header_flag = static_cast<uint8_t>(flag)}).empty(),
              good)
        << flag;
  }
  EXPECT_EQ(FaultOf({.header_flag = 12}),
            "header_flag: 12 is not one bit of 8, 16, 32, 64 and 128");
}

TEST(HeaderSplitCheckTest, ClassesAreNotThoseOfVirtio) {
  EXPECT_EQ(FaultOf({.split_class = 9}),
            "split_class: 9 is one of virtio's classes, 0 to 9");
  EXPECT_EQ(FaultOf({.header_queue_class = 0}),
            "header_queue_class: 0 is one of virtio's classes, 0 to 9");
  EXPECT_EQ(FaultOf({.split_class = 10, .header_queue_class = 255}), "");
}

TEST(HeaderSplitCheckTest, ThresholdsAreInOrder) {
  EXPECT_EQ(FaultOf(HeaderSplitOptions{.min_threshold = 9, .max_threshold = 8}),
            "min_threshold: 9 is above max_threshold: 8");
  EXPECT_EQ(FaultOf(HeaderSplitOptions{.min_threshold = 8, .max_threshold = 8}),
            "");
  EXPECT_EQ(FaultOf(HeaderSplitOptions{.max_threshold = 65594}),
            "max_threshold: 65594 is more than the largest frame has: 65593");
}

TEST(HeaderSplitCheckTest, ThereIsAMethodIfAnythingIsOffered) {
  HeaderSplitOptions options = {.offered = true,
                                .chain = false,
                                .buffers = false,
                                .small_buffers = false,
                                .header_queue = false};
  EXPECT_EQ(FaultOf(options), "enabled: is given, but no method is allowed");
  options.small_buffers = true;
  EXPECT_EQ(FaultOf(options), "");
  options.small_buffers = false;
  options.offered = false;
  EXPECT_EQ(FaultOf(options), "");
}

}  // namespace
}  // namespace annulus::virtio
