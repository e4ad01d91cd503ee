#include "devices/virtio/vsock/packet_header.h"

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr PacketHeader kHeader = {.src_cid = 0x0807060504030201,
                                  .dst_cid = 0x100f0e0d0c0b0a09,
                                  .src_port = 0x14131211,
                                  .dst_port = 0x18171615,
                                  .len = 0x1c1b1a19,
                                  .type = 0x1e1d,
                                  .op = 0x201f,
                                  .flags = 0x24232221,
                                  .buf_alloc = 0x28272625,
                                  .fwd_cnt = 0x2c2b2a29};

// Virtio 1.4 §5.10.6: 44 bytes, packed, little-endian, in this order.
TEST(PacketHeaderTest, FieldsLieAsTheSpecificationHasThem) {
  std::array<uint8_t, kVsockHeaderBytes> bytes;
  EncodePacketHeader(kHeader, absl::MakeSpan(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], i + 1);
  EXPECT_EQ(DecodePacketHeader(bytes), kHeader);
}

TEST(PacketHeaderTest, BytesBehindItAreLeftAlone) {
  std::array<uint8_t, kVsockMergeableHeaderBytes> bytes;
  bytes.fill(0xee);
  EncodePacketHeader(kHeader, absl::MakeSpan(bytes));
  EXPECT_EQ(bytes[kVsockHeaderNumBuffers], 0xee);
  EXPECT_EQ(bytes[kVsockHeaderNumBuffers + 1], 0xee);
}

TEST(PacketHeaderTest, ResetGoesBackWhereThePacketCameFrom) {
  const PacketHeader reset = ResetFor(kHeader);
  EXPECT_EQ(reset, (PacketHeader{.src_cid = kHeader.dst_cid,
                                 .dst_cid = kHeader.src_cid,
                                 .src_port = kHeader.dst_port,
                                 .dst_port = kHeader.src_port,
                                 .type = kHeader.type,
                                 .op = kVsockOpRst}));
}

}  // namespace
}  // namespace annulus::virtio
