#include "tests/guest_user/stream_frame.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/guest_user/stream.h"

namespace annulus::guest_user {
namespace {

constexpr MacAddress kCard = {2, 3, 4, 5, 6, 7};

std::vector<uint8_t> Header(const StreamSpec& spec, uint64_t sequence) {
  std::vector<uint8_t> header(HeaderBytes(spec));
  WriteStreamHeader(spec, sequence, kCard, header.data());
  return header;
}

class StreamFrameTest : public testing::TestWithParam<StreamProtocol> {};

INSTANTIATE_TEST_SUITE_P(All, StreamFrameTest,
                         testing::Values(StreamProtocol::kTcp4,
                                         StreamProtocol::kTcp6,
                                         StreamProtocol::kUdp4,
                                         StreamProtocol::kUdp6));

// The bytes of a datagram that are the kernel's own choice.
bool IsFree(const StreamSpec& spec, size_t at) {
  if (IsTcp(spec)) return false;
  return (at >= 6 && at < 12) || (!IsIpv4(spec) && at >= 15 && at < 18);
}

TEST_P(StreamFrameTest, EveryByteOfAHeaderCounts) {
  const StreamSpec spec = {.protocol = GetParam()};
  std::vector<uint8_t> header = Header(spec, 5);
  EXPECT_TRUE(IsOfStream(spec, header));
  EXPECT_TRUE(IsStreamHeader(spec, 5, kCard, header));
  for (size_t at = 0; at < header.size(); ++at) {
    ++header[at];
    EXPECT_EQ(IsStreamHeader(spec, 5, kCard, header), IsFree(spec, at)) << at;
    --header[at];
  }
  header.pop_back();
  EXPECT_FALSE(IsStreamHeader(spec, 5, kCard, header));
  EXPECT_FALSE(IsOfStream(spec, header));
}

TEST_P(StreamFrameTest, StreamsAreToldApart) {
  for (StreamProtocol other : {StreamProtocol::kTcp4, StreamProtocol::kTcp6,
                               StreamProtocol::kUdp4, StreamProtocol::kUdp6}) {
    EXPECT_EQ(
        IsOfStream({.protocol = GetParam()}, Header({.protocol = other}, 0)),
        other == GetParam());
  }
}

TEST(StreamFrameTest, HeadersHaveTheLengthsOfTheDefinition) {
  EXPECT_EQ(HeaderBytes({}), 66);
  EXPECT_EQ(HeaderBytes({.timestamps = false}), 54);
  EXPECT_EQ(HeaderBytes({.protocol = StreamProtocol::kTcp6}), 86);
  EXPECT_EQ(HeaderBytes({.protocol = StreamProtocol::kUdp4}), 42);
  EXPECT_EQ(HeaderBytes({.protocol = StreamProtocol::kUdp6}), 62);
}

TEST(StreamFrameTest, TcpHeadersOfTwoFramesDiffer) {
  const std::vector<uint8_t> header = Header({}, 5);
  EXPECT_FALSE(IsStreamHeader({}, 6, kCard, header));
}

}  // namespace
}  // namespace annulus::guest_user
