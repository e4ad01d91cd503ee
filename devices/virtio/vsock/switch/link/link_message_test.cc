#include "devices/virtio/vsock/switch/link/link_message.h"

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(LinkMessageTest, AHelloHasTheDocumentedLayout) {
  const LinkHello hello = EncodeLinkHello(0x12345678);
  const LinkHello expected = {'a',  'n',  'n',  'u',  'l', 'v', 's', 'k',
                              1,    0,    0,    0,    0,   0,   0,   0,
                              0x78, 0x56, 0x34, 0x12, 0,   0,   0,   0};
  EXPECT_EQ(hello, expected);
  EXPECT_EQ(DecodeLinkHello(hello), 0x12345678u);
}

TEST(LinkMessageTest, NothingElseIsAHello) {
  for (size_t i = 0; i < kLinkHelloBytes; ++i) {
    LinkHello hello = EncodeLinkHello(3);
    EXPECT_EQ(DecodeLinkHello(absl::MakeConstSpan(hello).first(i)),
              std::nullopt);
    hello[i] ^= 0x80;
    if (i < 16 || i > 19) {  // A bit of these makes it another CID.
      EXPECT_EQ(DecodeLinkHello(hello), std::nullopt) << i;
    }
  }
  for (const uint64_t cid : {uint64_t{0}, uint64_t{2}, uint64_t{0xffffffff},
                             uint64_t{1} << 32, ~uint64_t{0}}) {
    EXPECT_EQ(DecodeLinkHello(EncodeLinkHello(cid)), std::nullopt) << cid;
  }
}

TEST(LinkMessageTest, APacketBeginsWithItsSerial) {
  const PacketHeader header = {.src_cid = 3,
                               .dst_cid = 4,
                               .src_port = 5,
                               .dst_port = 6,
                               .len = 7,
                               .type = 1,
                               .op = kVsockOpRw,
                               .flags = 8,
                               .buf_alloc = 9,
                               .fwd_cnt = 10};
  const LinkPacketStart start = EncodeLinkPacket(header, 0x0102030405060708);
  EXPECT_EQ(start[0], 8);
  EXPECT_EQ(start[7], 1);
  EXPECT_EQ(start[8], 3);  // src_cid
  EXPECT_EQ(DecodeLinkSerial(start), 0x0102030405060708u);
  EXPECT_EQ(DecodeLinkHeader(start), header);
}

TEST(LinkMessageTest, OnlyPacketsBetweenTheTwoPass) {
  const PacketHeader good = {.src_cid = 3,
                             .dst_cid = 4,
                             .len = 10,
                             .type = kVsockTypeStream,
                             .op = kVsockOpRw};
  EXPECT_TRUE(IsLinkPacket(good, 10, 3, 4));
  EXPECT_FALSE(IsLinkPacket(good, 9, 3, 4));
  EXPECT_FALSE(IsLinkPacket(good, 11, 3, 4));
  EXPECT_FALSE(IsLinkPacket(good, 10, 5, 4));
  EXPECT_FALSE(IsLinkPacket(good, 10, 3, 5));
  for (uint16_t type = 0; type < 5; ++type) {
    for (uint16_t op = 0; op < 10; ++op) {
      for (const uint32_t len : {0, 10}) {
        PacketHeader header = good;
        header.type = type;
        header.op = op;
        header.len = len;
        const bool legal =
            (type == kVsockTypeDgram && op == kVsockOpRw) ||
            ((type == kVsockTypeStream || type == kVsockTypeSeqpacket) &&
             op >= 1 && op <= 7 && (len == 0 || op == kVsockOpRw));
        EXPECT_EQ(IsLinkPacket(header, len, 3, 4), legal) << type << " " << op;
      }
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
