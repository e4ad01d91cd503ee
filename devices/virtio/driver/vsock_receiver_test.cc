#include "devices/virtio/driver/vsock_receiver.h"

#include <cstdint>
#include <vector>

#include "devices/virtio/driver/vsock_driver_fixture.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/spec/vsock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

template <typename Kind>
class VsockReceiverTest : public testing::Test {
 protected:
  using Side = VsockTestSide<Kind>;

  // A device that does this is not to be believed.
  static void ExpectBroken(const VsockSideOptions& options,
                           const VsockHeader& header,
                           const std::vector<uint32_t>& lengths) {
    Side side(options);
    side.receiver().Post();
    side.Play(header, lengths);
    VsockPacket packet;
    EXPECT_FALSE(side.receiver().GetPacket(packet));
    EXPECT_TRUE(side.receiver().broken());
    EXPECT_FALSE(side.receiver().GetPacket(packet));
    EXPECT_EQ(side.receiver().Post(), 0u);
    side.receiver().Restart();
    EXPECT_EQ(side.receive_pool().free_count(), options.buffers);
    EXPECT_NE(side.receiver().Post(), 0u);
  }
  static void ExpectFine(const VsockSideOptions& options,
                         const VsockHeader& header,
                         const std::vector<uint32_t>& lengths) {
    Side side(options);
    side.receiver().Post();
    side.Play(header, lengths);
    VsockPacket packet;
    EXPECT_TRUE(side.receiver().GetPacket(packet));
    side.receiver().Release(packet);
  }
};

using Kinds = testing::Types<VsockPacked, VsockPackedInOrder, VsockSplit,
                             VsockSplitInOrder>;
TYPED_TEST_SUITE(VsockReceiverTest, Kinds);

constexpr VsockSideOptions kPlain = {};
constexpr VsockSideOptions kMerged = {.mergeable = true};

TYPED_TEST(VsockReceiverTest, HeaderAndPayloadOfOneBuffer) {
  VsockTestSide<TypeParam> side(kPlain);
  const VsockHeader header = {.src_cid = 0x0102030405060708,
                              .dst_cid = 0x1112131415161718,
                              .src_port = 0x21222324,
                              .dst_port = 0x31323334,
                              .type = 0x4142,
                              .op = 0x5152,
                              .flags = 0x61626364,
                              .buf_alloc = 0x71727374,
                              .fwd_cnt = 0x81828384};
  for (uint32_t round = 0; round < 100; ++round) {
    side.receiver().Post();
    const std::vector<uint8_t> payload = NumberedBytes(round * 2, round);
    ASSERT_TRUE(side.Deliver(header, payload));
    VsockPacket packet;
    ASSERT_TRUE(side.receiver().GetPacket(packet));
    EXPECT_EQ(packet.header.src_cid, header.src_cid);
    EXPECT_EQ(packet.header.dst_cid, header.dst_cid);
    EXPECT_EQ(packet.header.src_port, header.src_port);
    EXPECT_EQ(packet.header.dst_port, header.dst_port);
    EXPECT_EQ(packet.header.len, payload.size());
    EXPECT_EQ(packet.header.type, header.type);
    EXPECT_EQ(packet.header.op, header.op);
    EXPECT_EQ(packet.header.flags, header.flags);
    EXPECT_EQ(packet.header.buf_alloc, header.buf_alloc);
    EXPECT_EQ(packet.header.fwd_cnt, header.fwd_cnt);
    EXPECT_EQ(BytesOf(packet), payload);
    side.receiver().Release(packet);
    EXPECT_FALSE(side.receiver().GetPacket(packet));
  }
}

TYPED_TEST(VsockReceiverTest, MergedBuffersOfAnySize) {
  for (const uint32_t buffer_bytes : {46u, 47u, 64u, 100u, 4096u}) {
    VsockTestSide<TypeParam> side(
        {.mergeable = true, .buffer_bytes = buffer_bytes});
    for (const uint32_t bytes : {0u, 1u, 45u, 46u, 54u, 55u, 1000u, 1425u}) {
      side.receiver().Post();
      const std::vector<uint8_t> payload = NumberedBytes(bytes);
      ASSERT_TRUE(side.Deliver({.op = kVsockOpRw}, payload));
      VsockPacket packet;
      ASSERT_TRUE(side.receiver().GetPacket(packet))
          << buffer_bytes << " " << bytes;
      EXPECT_EQ(packet.header.num_buffers, packet.part_count);
      EXPECT_EQ(packet.header.len, bytes);
      EXPECT_EQ(BytesOf(packet), payload);
      side.receiver().Release(packet);
    }
  }
}

TYPED_TEST(VsockReceiverTest, NoBufferIsLost) {
  VsockTestSide<TypeParam> side(kMerged);
  side.receiver().Post();
  ASSERT_TRUE(side.Deliver({}, NumberedBytes(600)));
  VsockPacket packet;
  ASSERT_TRUE(side.receiver().GetPacket(packet));
  ASSERT_EQ(packet.part_count, 3u);
  EXPECT_EQ(side.receive_pool().free_count(), 0u);
  side.receiver().Release(packet);
  EXPECT_EQ(side.receive_pool().free_count(), 3u);
  EXPECT_EQ(side.receiver().Post(), 3u);
}

TYPED_TEST(VsockReceiverTest, NumBuffersIsNotBelieved) {
  this->ExpectFine(kMerged, {.len = 10, .num_buffers = 1}, {56});
  this->ExpectBroken(kMerged, {.len = 10, .num_buffers = 0}, {56});
  // More than were used.
  this->ExpectBroken(kMerged, {.len = 210, .num_buffers = 2}, {256});
  this->ExpectBroken(kMerged, {.len = 466, .num_buffers = 3}, {256, 256});
  // More than there can be.
  this->ExpectBroken(kMerged, {.len = 32 * 256 - 46, .num_buffers = 0xffff},
                     std::vector<uint32_t>(32, 256));
  this->ExpectFine(kMerged, {.len = 32 * 256 - 46, .num_buffers = 32},
                   std::vector<uint32_t>(32, 256));
  // It means nothing without MRG_RXBUF.
  this->ExpectFine(kPlain, {.len = 10, .num_buffers = 0xffff}, {54});
}

TYPED_TEST(VsockReceiverTest, UsedLengthsAreNotBelieved) {
  for (const VsockSideOptions& options : {kPlain, kMerged}) {
    const uint32_t header = VsockHeaderBytes(options.mergeable);
    const uint32_t payload = 256 - header;
    this->ExpectFine(options, {.len = payload, .num_buffers = 1}, {256});
    // Shorter than the header; longer than the buffer.
    this->ExpectBroken(options, {.num_buffers = 1}, {0});
    this->ExpectBroken(options, {.num_buffers = 1}, {header - 1});
    this->ExpectBroken(options, {.len = payload + 1, .num_buffers = 1}, {257});
    this->ExpectBroken(options, {.len = 0xffffffff - header, .num_buffers = 1},
                       {0xffffffff});
    // Not header and payload.
    this->ExpectBroken(options, {.len = 11, .num_buffers = 1}, {header + 10});
    this->ExpectBroken(options, {.len = 9, .num_buffers = 1}, {header + 10});
    this->ExpectBroken(options, {.len = 0xffffffff, .num_buffers = 1},
                       {header + 10});
  }
}

TYPED_TEST(VsockReceiverTest, AllMergedBuffersButTheLastAreFull) {
  this->ExpectFine(kMerged, {.len = 220, .num_buffers = 2}, {256, 10});
  this->ExpectBroken(kMerged, {.len = 220, .num_buffers = 2}, {255, 11});
  this->ExpectBroken(kMerged, {.len = 466, .num_buffers = 3}, {256, 255, 1});
  // None is empty.
  this->ExpectBroken(kMerged, {.len = 210, .num_buffers = 2}, {256, 0});
  this->ExpectBroken(kMerged, {.len = 466, .num_buffers = 2}, {256, 257});
}

TYPED_TEST(VsockReceiverTest, RestartGetsAllBuffersBack) {
  VsockTestSide<TypeParam> side(kMerged);
  EXPECT_EQ(side.receiver().Post(), 32u);
  EXPECT_EQ(side.receive_pool().free_count(), 0u);
  side.receiver().Restart();
  EXPECT_EQ(side.receive_pool().free_count(), 32u);
}

}  // namespace
}  // namespace annulus::virtio
