// The class SPLIT_TRANSPORT_HEADER.

#include <cstdint>

#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/control/command_fixture.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint8_t kClass = 0x80;

FrameBytes Set2Data(uint64_t types, uint32_t threshold, uint16_t mode,
                    uint16_t header_buffer_bytes) {
  return Joined({Little64(types), Little32(threshold), Little16(mode),
                 Little16(header_buffer_bytes)});
}

class HeaderSplitCommandsTest : public CommandFixture {
 protected:
  bool Set(uint64_t types) {
    return Succeeds(kClass, kSplitSet, Little64(types));
  }
  bool Set2(uint64_t types, uint32_t threshold, uint16_t mode,
            uint16_t header_buffer_bytes = 0) {
    return Succeeds(kClass, kSplitSet2,
                    Set2Data(types, threshold, mode, header_buffer_bytes));
  }
  void ExpectSetRefused(uint64_t types) {
    ExpectRefused(kClass, kSplitSet, Little64(types));
  }
  void ExpectSet2Refused(uint64_t types, uint32_t threshold, uint16_t mode,
                         uint16_t header_buffer_bytes = 0) {
    ExpectRefused(kClass, kSplitSet2,
                  Set2Data(types, threshold, mode, header_buffer_bytes));
  }
  uint32_t Modes() {
    const ControlReply reply = Execute(kClass, kSplitCapGet, {});
    EXPECT_TRUE(reply.ok);
    EXPECT_FALSE(reply.settings_changed);
    CommandData result(reply.result.bytes());
    EXPECT_EQ(result.Take<uint64_t>(), 15u);
    const uint32_t modes = result.Take<uint32_t>();
    EXPECT_EQ(result.Take<uint32_t>(), 16506u);
    EXPECT_TRUE(result.Complete());
    EXPECT_EQ(reply.result.bytes().size(), kSplitCapBytes);
    // That is what SET2 has to say, too.
    const NetSettings before = settings_;
    for (uint16_t mode = 0; mode < 40; ++mode) {
      const bool accepted = Set2(1, header_split_.min_threshold, mode, 256);
      EXPECT_EQ(accepted, mode < 32 && (modes >> mode & 1) != 0) << mode;
    }
    settings_ = before;
    return modes;
  }
};

TEST_F(HeaderSplitCommandsTest, NothingIsSplitAtFirst) {
  EXPECT_EQ(settings_.split, SplitSettings());
  EXPECT_EQ(settings_.split.types, 0u);
}

TEST_F(HeaderSplitCommandsTest, SetChoosesTypesAndTheAutomaticMethod) {
  ASSERT_TRUE(Set(kSplitTcp4 | kSplitUdp6));
  EXPECT_EQ(settings_.split, (SplitSettings{.types = 9, .threshold = 0}));
  features_.Add(kNetMrgRxbuf);
  ASSERT_TRUE(Set(kSplitTcp6));
  EXPECT_EQ(settings_.split,
            (SplitSettings{.types = 2, .method = SplitMethod::kBuffers}));
}

TEST_F(HeaderSplitCommandsTest, SetTakesTheLowestThreshold) {
  header_split_.min_threshold = 300;
  ASSERT_TRUE(Set2(kSplitTcp4, 500, kSplitModeAutomatic));
  EXPECT_EQ(settings_.split.threshold, 500u);
  ASSERT_TRUE(Set(kSplitTcp4));
  EXPECT_EQ(settings_.split.threshold, 300u);
}

TEST_F(HeaderSplitCommandsTest, TypeZeroSplitsNothing) {
  ASSERT_TRUE(Set(kSplitAllTypes));
  ASSERT_TRUE(Set(0));
  EXPECT_EQ(settings_.split.types, 0u);
  ASSERT_TRUE(Set2(kSplitAllTypes, 0, kSplitModeChain));
  ASSERT_TRUE(Set2(0, 0, kSplitModeChain));
  EXPECT_EQ(settings_.split.types, 0u);
}

TEST_F(HeaderSplitCommandsTest, Set2ChoosesEverything) {
  features_.Add(kNetMrgRxbuf);
  ASSERT_TRUE(Set2(kSplitUdp4, 1514, kSplitModeSmallBuffers, 256));
  EXPECT_EQ(settings_.split,
            (SplitSettings{.types = 4,
                           .threshold = 1514,
                           .method = SplitMethod::kSmallBuffers,
                           .header_buffer_bytes = 256}));
}

TEST_F(HeaderSplitCommandsTest, HeaderBufferLengthIsOfSmallBuffersAlone) {
  ASSERT_TRUE(Set2(kSplitTcp4, 0, kSplitModeChain, 0xffff));
  EXPECT_EQ(settings_.split, SplitSettings{.types = 1});
  features_.Add(kNetMrgRxbuf);
  ASSERT_TRUE(Set2(kSplitTcp4, 0, kSplitModeBuffers, 0xffff));
  EXPECT_EQ(settings_.split.header_buffer_bytes, 0);
  ASSERT_TRUE(Set2(kSplitTcp4, 0, kSplitModeSmallBuffers, 0xffff));
  EXPECT_EQ(settings_.split.header_buffer_bytes, 0xffff);
}

TEST_F(HeaderSplitCommandsTest, UnknownTypeIsRefused) {
  for (const uint64_t types :
       {uint64_t{16}, uint64_t{31}, uint64_t{1} << 32, uint64_t{1} << 63}) {
    ExpectSetRefused(types);
    ExpectSet2Refused(types, 0, kSplitModeAutomatic);
  }
}

TEST_F(HeaderSplitCommandsTest, UnknownModeIsRefused) {
  for (const uint16_t mode : {4, 5, 32, 0x100, 0xffff}) {
    ExpectSet2Refused(kSplitTcp4, 0, mode, 256);
    ExpectSet2Refused(0, 0, mode, 256);
  }
}

TEST_F(HeaderSplitCommandsTest, ModeOfOtherBuffersIsRefused) {
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeBuffers);
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeSmallBuffers, 256);
  features_.Add(kNetMrgRxbuf);
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeChain);
}

TEST_F(HeaderSplitCommandsTest, ModeThatTheConfigurationForbidsIsRefused) {
  header_split_.chain = false;
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeChain);
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeAutomatic);
  ExpectSetRefused(kSplitTcp4);
  EXPECT_TRUE(Set(0));  // It needs none.
  features_.Add(kNetMrgRxbuf);
  header_split_.buffers = false;
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeBuffers);
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeAutomatic);
  ExpectSetRefused(kSplitTcp4);
  EXPECT_TRUE(Set2(kSplitTcp4, 0, kSplitModeSmallBuffers, 128));
  header_split_.small_buffers = false;
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeSmallBuffers, 128);
}

TEST_F(HeaderSplitCommandsTest, SmallBuffersOfNoLengthAreRefused) {
  features_.Add(kNetMrgRxbuf);
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeSmallBuffers, 0);
  EXPECT_TRUE(Set2(kSplitTcp4, 0, kSplitModeSmallBuffers, 1));
}

TEST_F(HeaderSplitCommandsTest, ThresholdOutsideOfTheBoundsIsRefused) {
  header_split_.min_threshold = 100;
  header_split_.max_threshold = 200;
  ExpectSet2Refused(kSplitTcp4, 0, kSplitModeChain);
  ExpectSet2Refused(kSplitTcp4, 99, kSplitModeChain);
  ExpectSet2Refused(kSplitTcp4, 201, kSplitModeChain);
  ExpectSet2Refused(kSplitTcp4, 0xffffffff, kSplitModeChain);
  EXPECT_TRUE(Set2(kSplitTcp4, 100, kSplitModeChain));
  EXPECT_TRUE(Set2(kSplitTcp4, 200, kSplitModeChain));
}

TEST_F(HeaderSplitCommandsTest, DataAndFeatureAreExact) {
  ExpectExactDataAndFeature(kClass, kSplitSet, Little64(15), kSplitFeature);
  ExpectExactDataAndFeature(kClass, kSplitSet2, Set2Data(15, 0, 0, 0),
                            kSplitFeature);
  ExpectExactDataAndFeature(kClass, kSplitCapGet, {}, kSplitFeature);
  // The other feature is not this one.
  features_.Remove(kSplitFeature);
  ExpectSetRefused(15);
}

TEST_F(HeaderSplitCommandsTest, UnknownCommandIsRefused) {
  for (const uint8_t command : {3, 4, 0x80, 0xff}) {
    ExpectRefused(kClass, command, {});
    ExpectRefused(kClass, command, Little64(15));
  }
}

TEST_F(HeaderSplitCommandsTest, CapabilitiesAreWhatCanBeSetNow) {
  EXPECT_EQ(Modes(), 0b0011u);
  features_.Add(kNetMrgRxbuf);
  EXPECT_EQ(Modes(), 0b1101u);
  header_split_.buffers = false;  // The automatic one.
  EXPECT_EQ(Modes(), 0b1000u);
  header_split_.small_buffers = false;
  EXPECT_EQ(Modes(), 0u);
  header_split_.buffers = true;
  EXPECT_EQ(Modes(), 0b0101u);
  features_.Remove(kNetMrgRxbuf);
  header_split_.chain = false;
  EXPECT_EQ(Modes(), 0u);
}

TEST_F(HeaderSplitCommandsTest, CapabilitiesNeedRoom) {
  result_room_ = kSplitCapBytes - 1;
  ExpectRefused(kClass, kSplitCapGet, {});
  result_room_ = kSplitCapBytes;
  EXPECT_TRUE(Succeeds(kClass, kSplitCapGet, {}));
}

TEST_F(HeaderSplitCommandsTest, NumbersAreThoseOfTheConfiguration) {
  header_split_.numbers.split_class = 0xc7;
  header_split_.numbers.split_feature = 63;
  ExpectSetRefused(15);  // It is not this class any more.
  ExpectRefused(0xc7, kSplitSet, Little64(15));
  features_.Add(63);
  EXPECT_TRUE(Succeeds(0xc7, kSplitSet, Little64(15)));
  ExpectSetRefused(15);
}

}  // namespace
}  // namespace annulus::virtio
