#include "devices/virtio/net/net_header.h"

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Of an IPv4 TCP frame of 1514 bytes: 14 + 20 + 20 bytes of headers.
constexpr uint32_t kFrameBytes = 1514;
constexpr NetHeader kCsum = {
    .flags = kNetHeaderNeedsCsum, .csum_start = 34, .csum_offset = 16};
constexpr NetHeader kTso = {.flags = kNetHeaderNeedsCsum,
                            .gso_type = kNetGsoTcpv4,
                            .hdr_len = 54,
                            .gso_size = 500,
                            .csum_start = 34,
                            .csum_offset = 16};

HeaderRules Everything() {
  return TransmitRules(FeatureSet::Of(kNetCsum, kNetHostTso4, kNetHostTso6,
                                      kNetHostEcn, kNetHostUfo, kNetHostUso));
}

bool Passes(const HeaderRules& rules, NetHeader header,
            uint32_t bytes = kFrameBytes) {
  return CheckNetHeader(rules, bytes, header);
}

TEST(NetHeaderTest, BytesAreThoseOfTheSpecification) {
  const std::array<uint8_t, kNetHeaderBytes> bytes = {
      0x01, 0x84, 0x36, 0x00, 0xa8, 0x05, 0x22, 0x00, 0x10, 0x00, 0x02, 0x01};
  const NetHeader header = {.flags = kNetHeaderNeedsCsum,
                            .gso_type = kNetGsoTcpv6 | kNetGsoEcn,
                            .hdr_len = 54,
                            .gso_size = 1448,
                            .csum_start = 34,
                            .csum_offset = 16,
                            .num_buffers = 0x102};
  EXPECT_EQ(DecodeNetHeader(bytes), header);
  std::array<uint8_t, kNetHeaderBytes> encoded;
  EncodeNetHeader(header, absl::MakeSpan(encoded));
  EXPECT_EQ(encoded, bytes);
}

TEST(NetHeaderTest, PlainFramePassesUnderAnyRules) {
  EXPECT_TRUE(Passes({}, {}));
  EXPECT_TRUE(Passes(Everything(), {}));
}

// "The device MUST ignore flag bits that it does not recognize."
TEST(NetHeaderTest, UnknownFlagsAndFieldsWithoutMeaningAreCleared) {
  NetHeader header = {.flags = 0xfe,
                      .hdr_len = 9,
                      .gso_size = 9,
                      .csum_start = 0xffff,
                      .csum_offset = 0xffff,
                      .num_buffers = 9};
  ASSERT_TRUE(CheckNetHeader({}, 60, header));
  EXPECT_EQ(header, NetHeader());
}

TEST(NetHeaderTest, OffloadsPassAsTheyAreNegotiated) {
  EXPECT_TRUE(Passes(TransmitRules(FeatureSet::Of(kNetCsum)), kCsum));
  EXPECT_TRUE(
      Passes(TransmitRules(FeatureSet::Of(kNetCsum, kNetHostTso4)), kTso));
  NetHeader ecn = kTso;
  ecn.gso_type |= kNetGsoEcn;
  EXPECT_TRUE(Passes(Everything(), ecn));
  for (const uint8_t type : {kNetGsoTcpv6, kNetGsoUdp, kNetGsoUdpL4}) {
    NetHeader header = kTso;
    header.gso_type = type;
    EXPECT_TRUE(Passes(Everything(), header)) << int{type};
  }
}

// bad_inputs 29.
TEST(NetHeaderTest, OffloadThatWasNotNegotiatedIsRefused) {
  EXPECT_FALSE(Passes({}, kCsum));
  EXPECT_FALSE(Passes({}, kTso));
  EXPECT_FALSE(Passes(TransmitRules(FeatureSet::Of(kNetCsum)), kTso));
  EXPECT_FALSE(
      Passes(TransmitRules(FeatureSet::Of(kNetCsum, kNetHostTso6)), kTso));
  NetHeader ecn = kTso;
  ecn.gso_type |= kNetGsoEcn;
  EXPECT_FALSE(
      Passes(TransmitRules(FeatureSet::Of(kNetCsum, kNetHostTso4)), ecn));
}

// bad_inputs 29: "csum_start+csum_offset beyond packet". The last two bytes of
// the frame are the last that may hold a checksum.
TEST(NetHeaderTest, ChecksumBeyondTheFrameIsRefused) {
  NetHeader header = kCsum;
  header.csum_start = kFrameBytes - 2;
  header.csum_offset = 0;
  EXPECT_TRUE(Passes(Everything(), header));
  header.csum_offset = 1;
  EXPECT_FALSE(Passes(Everything(), header));
  header.csum_start = 0xffff;
  header.csum_offset = 0xffff;  // Their sum has more than 16 bits.
  EXPECT_FALSE(Passes(Everything(), header));
  header.csum_offset = 3;
  EXPECT_FALSE(Passes(Everything(), header));
  EXPECT_FALSE(Passes(Everything(), kCsum, 14));
}

// bad_inputs 29: "gso_size 0".
TEST(NetHeaderTest, SegmentsOfNoBytesAreRefused) {
  NetHeader header = kTso;
  header.gso_size = 0;
  EXPECT_FALSE(Passes(Everything(), header));
}

// bad_inputs 29: "gso_type invalid".
TEST(NetHeaderTest, SegmentationThatDoesNotExistIsRefused) {
  for (int type = 1; type < 256; ++type) {
    switch (type) {
      case kNetGsoTcpv4:
      case kNetGsoTcpv6:
      case kNetGsoTcpv4 | kNetGsoEcn:
      case kNetGsoTcpv6 | kNetGsoEcn:
      case kNetGsoUdp:
      case kNetGsoUdpL4:
        continue;
    }
    NetHeader header = kTso;
    header.gso_type = static_cast<uint8_t>(type);
    EXPECT_FALSE(Passes(Everything(), header)) << type;
  }
}

TEST(NetHeaderTest, SegmentationWithoutChecksumIsRefused) {
  NetHeader header = kTso;
  header.flags = 0;
  EXPECT_FALSE(Passes(Everything(), header));
}

// bad_inputs 29: "hdr_len > len". It is a hint: drivers get it wrong.
TEST(NetHeaderTest, HeaderLengthBeyondTheFrameIsCut) {
  NetHeader header = kTso;
  header.hdr_len = 0xffff;
  ASSERT_TRUE(CheckNetHeader(Everything(), kFrameBytes, header));
  EXPECT_EQ(header.hdr_len, kFrameBytes);
}

// "If VIRTIO_NET_F_GUEST_CSUM is not negotiated, the device MUST set flags to
// zero".
TEST(NetHeaderTest, ReceivedChecksumIsValidOnlyForWhoNegotiatedThat) {
  NetHeader header = {.flags = kNetHeaderDataValid};
  ASSERT_TRUE(CheckNetHeader({}, 60, header));
  EXPECT_EQ(header.flags, 0);
  header.flags = kNetHeaderDataValid;
  ASSERT_TRUE(
      CheckNetHeader(ReceiveRules(FeatureSet::Of(kNetGuestCsum)), 60, header));
  EXPECT_EQ(header.flags, kNetHeaderDataValid);
}

}  // namespace
}  // namespace annulus::virtio
