// What the device side does here is by the layout of docs/header_split.md.

#include "devices/virtio/driver/header_split_receiver.h"

#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "devices/virtio/driver/header_split_fixture.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr ReceiverOptions kA = {
    .method = ReceiveMethod::kChain, .small_bytes = 128, .pages_per_buffer = 3};
constexpr ReceiverOptions kB = {.method = ReceiveMethod::kBuffers,
                                .mergeable = true};
constexpr ReceiverOptions kC = {.method = ReceiveMethod::kSmallBuffers,
                                .mergeable = true,
                                .small_bytes = 256};
constexpr ReceiverOptions kQ = {.method = ReceiveMethod::kHeaderQueue,
                                .header = {.header_queue = true},
                                .small_bytes = 20,
                                .pages_per_buffer = 3};
constexpr ReceiverOptions kQMergeable = {.method = ReceiveMethod::kHeaderQueue,
                                         .mergeable = true,
                                         .header = {.header_queue = true}};

class ReceiverTest : public testing::TestWithParam<RingKind> {
 protected:
  // Of the next packet: all its bytes, and how many are its header.
  static void ExpectPacket(HeaderSplitPair& pair, const Bytes& frame,
                           uint32_t header_bytes, ReceivedPacket& packet) {
    ASSERT_TRUE(pair.Get(packet));
    EXPECT_EQ(packet.split, header_bytes != 0);
    EXPECT_EQ(packet.header_bytes, header_bytes);
    EXPECT_EQ(BytesOf(packet), frame);
    EXPECT_EQ(packet.bytes, frame.size() - header_bytes);
  }
  static bool OnPages(const ReceivedPacket& packet) {
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      if (reinterpret_cast<uintptr_t>(packet.parts[i].data) % 4096 != 0 ||
          (i + 1 < packet.part_count && packet.parts[i].bytes != 4096)) {
        return false;
      }
    }
    return true;
  }
};

INSTANTIATE_TEST_SUITE_P(Rings, ReceiverTest, testing::ValuesIn(kRingKinds),
                         [](const auto& info) { return NameOf(info.param); });

TEST_P(ReceiverTest, ChainHasTheHeaderInItsFirstDescriptor) {
  HeaderSplitPair pair(GetParam(), kA);
  const uint32_t posted = pair.Post();
  EXPECT_EQ(posted, GetParam().indirect ? 42u : 16u);
  const Bytes frame = NumberedFrame(66 + 4096);
  pair.DeliverSplit(frame, 66);
  ReceivedPacket packet;
  ExpectPacket(pair, frame, 66, packet);
  EXPECT_TRUE(OnPages(packet));
  EXPECT_EQ(packet.part_count, 1u);
  for (int i = 66; i < 128 - 12; ++i) {
    ASSERT_EQ(packet.header[i], HeaderSplitPair::kUntouched) << i;
  }
  // Two of the three pages were of no use, and are back.
  EXPECT_EQ(pair.pages().free_count(),
            HeaderSplitPair::kPages - 3 * posted + 2);
  pair.ReleaseHeader(packet);
  EXPECT_EQ(pair.Post(), 1u);
}

TEST_P(ReceiverTest, BuffersAfterTheFirstAreThePayload) {
  HeaderSplitPair pair(GetParam(), kB);
  EXPECT_EQ(pair.Post(), HeaderSplitPair::kRing);
  const Bytes frame = NumberedFrame(65549);
  pair.DeliverSplit(frame, 66);
  ReceivedPacket packet;
  ExpectPacket(pair, frame, 66, packet);
  EXPECT_EQ(packet.net_header.num_buffers, 17);
  EXPECT_EQ(packet.part_count, 16u);
  EXPECT_TRUE(OnPages(packet));
  pair.ReleaseHeader(packet);
  EXPECT_EQ(pair.Post(), 17u);
}

TEST_P(ReceiverTest, SmallBuffersAmongThePayloadAreSkipped) {
  HeaderSplitPair pair(GetParam(), kC);
  EXPECT_EQ(pair.Post(), HeaderSplitPair::kRing);
  const Bytes frame = NumberedFrame(66 + 9000);
  pair.DeliverSplit(frame, 66);
  ReceivedPacket packet;
  ExpectPacket(pair, frame, 66, packet);
  EXPECT_EQ(packet.net_header.num_buffers, 6);
  EXPECT_EQ(packet.part_count, 3u);
  EXPECT_EQ(packet.parts[2].bytes, 808u);
  EXPECT_TRUE(OnPages(packet));
  // The skipped ones are free, the header's is not.
  EXPECT_EQ(pair.small().free_count(), HeaderSplitPair::kSmall - 32 + 2);
  pair.ReleaseHeader(packet);
  EXPECT_EQ(pair.small().free_count(), HeaderSplitPair::kSmall - 32 + 3);
  EXPECT_EQ(pair.Post(), 6u);
}

TEST_P(ReceiverTest, SlotHasTheHeader) {
  HeaderSplitPair pair(GetParam(), kQ);
  EXPECT_EQ(*pair.Tail(), 4);
  pair.Post();
  const Bytes frame = NumberedFrame(66 + 2 * 4096);
  pair.DeliverSplit(frame, 66, 0);
  ReceivedPacket packet;
  ExpectPacket(pair, frame, 66, packet);
  EXPECT_EQ(packet.header, pair.Slot(0));
  EXPECT_EQ(packet.part_count, 2u);
  EXPECT_TRUE(OnPages(packet));
  // It held nothing but the virtio-net header.
  EXPECT_EQ(pair.small().free_count(),
            HeaderSplitPair::kSmall - (GetParam().indirect ? 42 : 16) + 1);
  pair.ReleaseHeader(packet);
  EXPECT_EQ(*pair.Tail(), 4) << "before Post()";
  pair.Post();
  EXPECT_EQ(*pair.Tail(), 5);
}

TEST_P(ReceiverTest, SlotWorksWithMergeableBuffers) {
  HeaderSplitPair pair(GetParam(), kQMergeable);
  pair.Post();
  const Bytes frame = NumberedFrame(66 + 5000);
  pair.DeliverSplit(frame, 66, 0);
  ReceivedPacket packet;
  ExpectPacket(pair, frame, 66, packet);
  ASSERT_EQ(packet.part_count, 2u);
  EXPECT_EQ(packet.parts[0].bytes, 4096u - 20);
}

TEST_P(ReceiverTest, UnsplitPacketsOfEveryMethod) {
  for (const ReceiverOptions& options :
       {kA, kB, kC, kQ, kQMergeable,
        ReceiverOptions{.mergeable = true, .header = {.hash_report = true}},
        ReceiverOptions{.pages_per_buffer = 17}}) {
    HeaderSplitPair pair(GetParam(), options);
    const uint32_t pages = pair.pages().free_count();
    const uint32_t small = pair.small().free_count();
    ReceivedPacket packet;
    for (const size_t bytes : {66, 180, 4096, 9000}) {
      pair.Post();
      const Bytes frame = NumberedFrame(bytes);
      pair.DeliverUnsplit(frame);
      ExpectPacket(pair, frame, 0, packet);
      pair.ReleaseAll(packet);
    }
    pair.Restart();
    EXPECT_EQ(pair.pages().free_count(), pages);
    EXPECT_EQ(pair.small().free_count(), small);
  }
}

TEST_P(ReceiverTest, WhatIsNotASplitPacketToThisDriverIsNone) {
  HeaderSplitPair pair(GetParam(), {.mergeable = true});
  pair.Post();
  DescriptorChain& chain = pair.Pop();
  pair.WriteHeader(chain, {.flags = 0x80, .hdr_len = 14, .num_buffers = 1});
  pair.Use(chain, 12 + 60);
  pair.Publish();
  ReceivedPacket packet;
  ASSERT_TRUE(pair.Get(packet));
  EXPECT_FALSE(packet.split);
  EXPECT_EQ(packet.bytes, 60u);
}

TEST_P(ReceiverTest, FieldsOfTheLongestHeader) {
  ReceiverOptions options = kQMergeable;
  options.header.hash_report = true;
  HeaderSplitPair pair(GetParam(), options);
  pair.Post();
  DescriptorChain& chain = pair.Pop();
  pair.WriteHeader(chain, {.flags = 0x81,
                           .gso_type = 1,
                           .hdr_len = 66,
                           .gso_size = 1448,
                           .csum_start = 34,
                           .csum_offset = 16,
                           .num_buffers = 1,
                           .hash_value = 0x12345678,
                           .hash_report = 2,
                           .hdr_buf_index = 3,
                           .hdr_buf_id = HeaderSplitPair::kSlotsId});
  pair.Use(chain, 28 + 10);
  pair.Publish();
  ReceivedPacket packet;
  ASSERT_TRUE(pair.Get(packet));
  EXPECT_EQ(packet.net_header.flags, 0x81);
  EXPECT_EQ(packet.net_header.gso_type, 1);
  EXPECT_EQ(packet.net_header.gso_size, 1448);
  EXPECT_EQ(packet.net_header.csum_start, 34);
  EXPECT_EQ(packet.net_header.csum_offset, 16);
  EXPECT_EQ(packet.net_header.hash_value, 0x12345678u);
  EXPECT_EQ(packet.net_header.hash_report, 2);
  EXPECT_EQ(packet.header, pair.Slot(3));
  EXPECT_EQ(packet.bytes, 10u);
}

// Frames of all sizes while the caller keeps packets for a while and gives them
// back in any order: every byte is right as long as the packet is kept, and at
// the end nothing is lost.
TEST_P(ReceiverTest, PacketsKeptAndReleasedInAnyOrder) {
  for (const ReceiverOptions& options : {kA, kB, kC, kQ, kQMergeable}) {
    HeaderSplitPair pair(GetParam(), options);
    std::mt19937 random(7);  // NOLINT(*-msc51-cpp): repeatable.
    struct Kept {
      ReceivedPacket packet;
      Bytes frame;
    };
    std::deque<Kept> kept;
    const auto release = [&] {
      const size_t which = random() % kept.size();
      ASSERT_EQ(BytesOf(kept[which].packet), kept[which].frame);
      pair.ReleaseAll(kept[which].packet);
      kept.erase(kept.begin() + static_cast<ptrdiff_t>(which));
    };
    const bool slots = options.method == ReceiveMethod::kHeaderQueue;
    uint16_t head = 0;
    bool small_next = true;  // C.
    for (uint32_t i = 0; i < 500; ++i) {
      pair.Post();
      const uint16_t header = static_cast<uint16_t>(42 + random() % 60);
      Bytes frame = NumberedFrame(header + 1 + random() % 9000, i);
      // Method C as it is drawn needs a small buffer next.
      bool split = random() % 4 != 0 && small_next;
      if (slots) split &= static_cast<uint16_t>(*pair.Tail() - head) != 0;
      if (options.method == ReceiveMethod::kSmallBuffers && !split) {
        frame.resize(120);  // One buffer.
        small_next = !small_next;
      }
      split ? pair.DeliverSplit(frame, header, slots ? head++ : uint16_t{0})
            : pair.DeliverUnsplit(frame);
      ReceivedPacket packet;
      ExpectPacket(pair, frame, split ? header : 0, packet);
      if (HasFatalFailure()) return;
      kept.push_back({packet, frame});
      if (kept.size() > 6) release();
    }
    while (!kept.empty()) release();
    pair.Restart();
    EXPECT_EQ(pair.pages().free_count(), HeaderSplitPair::kPages);
    EXPECT_EQ(pair.small().free_count(), HeaderSplitPair::kSmall);
    EXPECT_FALSE(pair.broken());
  }
}

TEST(ReceiverConfigTest, RefusesWhatTheMethodsDoNotAllow) {
  uint32_t free[1];
  ReceivePiece piece;
  ReceivePool pages({.bytes = 4096, .stride = 4096, .count = 1, .free = free});
  ReceivePool small({.bytes = 128, .stride = 128, .count = 1, .free = free});
  const HeaderSplitReceiverConfig plain = {.pages = &pages,
                                           .in_flight = &piece};
  EXPECT_TRUE(plain.Usable());
  HeaderSplitReceiverConfig config = plain;
  config.method = ReceiveMethod::kChain;
  EXPECT_FALSE(config.Usable()) << "no small buffers";
  config.small = &small;
  EXPECT_TRUE(config.Usable());
  config.mergeable = true;
  EXPECT_FALSE(config.Usable());
  config.method = ReceiveMethod::kSmallBuffers;
  EXPECT_TRUE(config.Usable());
  config.method = ReceiveMethod::kBuffers;
  EXPECT_FALSE(config.Usable());
  config.small = nullptr;
  EXPECT_TRUE(config.Usable());
  config.method = ReceiveMethod::kHeaderQueue;
  EXPECT_FALSE(config.Usable()) << "no slots";
  config = plain;
  config.pages_per_buffer = 18;
  EXPECT_FALSE(config.Usable());
}

}  // namespace
}  // namespace annulus::virtio
