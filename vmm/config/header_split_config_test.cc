#include "vmm/config/header_split_config.h"

#include <string>

#include "absl/status/status.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using virtio::HeaderSplitOptions;

std::string ErrorOf(const HeaderSplitConfig& config) {
  const absl::Status status = ValidateHeaderSplit("at", config);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
  return std::string(status.message());
}

TEST(HeaderSplitConfigTest, DefaultsAreTheDevices) {
  EXPECT_EQ(HeaderSplitOptionsOf({}), HeaderSplitOptions());
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(ErrorOf({.enabled = true}), "");
}

TEST(HeaderSplitConfigTest, EveryFieldReachesTheDevice) {
  const HeaderSplitConfig config = {.enabled = true,
                                    .chain = false,
                                    .buffers = false,
                                    .small_buffers = false,
                                    .header_queue = false,
                                    .min_threshold = 1,
                                    .max_threshold = 2,
                                    .split_feature = 3,
                                    .header_queue_feature = 5,
                                    .header_flag = 6,
                                    .split_class = 7,
                                    .header_queue_class = 8};
  const HeaderSplitOptions expected = {.offered = true,
                                       .chain = false,
                                       .buffers = false,
                                       .small_buffers = false,
                                       .header_queue = false,
                                       .min_threshold = 1,
                                       .max_threshold = 2,
                                       .numbers = {.split_feature = 3,
                                                   .header_queue_feature = 5,
                                                   .header_flag = 6,
                                                   .split_class = 7,
                                                   .header_queue_class = 8}};
  EXPECT_EQ(HeaderSplitOptionsOf(config), expected);
}

TEST(HeaderSplitConfigTest, NumbersOfEightBitsAreNotCutToThem) {
  EXPECT_EQ(ErrorOf({.header_flag = 0x180}),
            "at.header_flag: 384 is not in 0..255");
  EXPECT_EQ(ErrorOf({.split_class = 0x10a}),
            "at.split_class: 266 is not in 0..255");
  EXPECT_EQ(ErrorOf({.header_queue_class = 0x10a}),
            "at.header_queue_class: 266 is not in 0..255");
}

TEST(HeaderSplitConfigTest, MistakesAreNamedWithTheirField) {
  EXPECT_EQ(ErrorOf({.split_feature = 15}),
            "at.split_feature: 15 belongs to mrg_rxbuf; 4, 44 to 49 and 58 are "
            "free");
  EXPECT_EQ(ErrorOf({.header_flag = 4}),
            "at.header_flag: 4 is not one bit of 8, 16, 32, 64 and 128");
  EXPECT_EQ(ErrorOf({.min_threshold = 9, .max_threshold = 8}),
            "at.min_threshold: 9 is above max_threshold: 8");
  EXPECT_EQ(ErrorOf({.enabled = true,
                     .chain = false,
                     .buffers = false,
                     .small_buffers = false,
                     .header_queue = false}),
            "at.enabled: is given, but no method is allowed");
}

}  // namespace
}  // namespace annulus
