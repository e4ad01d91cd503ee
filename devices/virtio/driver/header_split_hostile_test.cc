// A device that breaks the rules: the receiver believes nothing, and stops.

#include <cstdint>
#include <vector>

#include "devices/virtio/driver/header_split_fixture.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/received_header.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr ReceiverOptions kMerged = {.mergeable = true};
constexpr ReceiverOptions kA = {
    .method = ReceiveMethod::kChain, .small_bytes = 128, .pages_per_buffer = 2};
constexpr ReceiverOptions kB = {.method = ReceiveMethod::kBuffers,
                                .mergeable = true};
constexpr ReceiverOptions kC = {.method = ReceiveMethod::kSmallBuffers,
                                .mergeable = true,
                                .small_bytes = 256};
constexpr ReceiverOptions kQ = {.method = ReceiveMethod::kHeaderQueue,
                                .header = {.header_queue = true}};

class HostileDeviceTest : public testing::TestWithParam<RingKind> {
 protected:
  // What a device does, all of it published together. With `header`, the first
  // buffer begins so; then one used length for each buffer.
  static void Play(HeaderSplitPair& pair, const ReceivedHeader& header,
                   const std::vector<uint32_t>& lengths) {
    std::vector<DescriptorChain*> chains;
    for (size_t i = 0; i < lengths.size(); ++i) chains.push_back(&pair.Pop());
    pair.WriteHeader(*chains[0], header);
    for (size_t i = 0; i < lengths.size(); ++i) {
      pair.Use(*chains[i], lengths[i]);
    }
    pair.Publish();
  }
  // One that no driver can take for a packet.
  static void ExpectBroken(const ReceiverOptions& options,
                           const ReceivedHeader& header,
                           const std::vector<uint32_t>& lengths) {
    HeaderSplitPair pair(GetParam(), options);
    pair.Post();
    Play(pair, header, lengths);
    ReceivedPacket packet;
    EXPECT_FALSE(pair.Get(packet));
    EXPECT_TRUE(pair.broken());
    EXPECT_FALSE(pair.Get(packet));
    EXPECT_EQ(pair.Post(), 0u);
  }
  static void ExpectFine(const ReceiverOptions& options,
                         const ReceivedHeader& header,
                         const std::vector<uint32_t>& lengths) {
    HeaderSplitPair pair(GetParam(), options);
    pair.Post();
    Play(pair, header, lengths);
    ReceivedPacket packet;
    EXPECT_TRUE(pair.Get(packet));
    EXPECT_FALSE(pair.broken());
  }
  static ReceivedHeader Split(uint16_t header, uint16_t buffers) {
    return {.flags = 0x80, .hdr_len = header, .num_buffers = buffers};
  }
  static ReceivedHeader Slot(uint16_t index, uint16_t id, uint16_t header) {
    return {.flags = 0x80,
            .hdr_len = header,
            .num_buffers = 1,
            .hdr_buf_index = index,
            .hdr_buf_id = id};
  }
  static constexpr uint16_t kId = HeaderSplitPair::kSlotsId;
};

INSTANTIATE_TEST_SUITE_P(Rings, HostileDeviceTest,
                         testing::ValuesIn(kRingKinds),
                         [](const auto& info) { return NameOf(info.param); });

TEST_P(HostileDeviceTest, NumBuffers) {
  ExpectFine(kMerged, {.num_buffers = 1}, {12 + 60});
  ExpectBroken(kMerged, {.num_buffers = 0}, {12 + 60});
  ExpectBroken(kMerged, {.num_buffers = 0xffff}, {4096, 100});
  ExpectBroken(kMerged, {.num_buffers = 3}, {4096, 4096});
  ExpectBroken(kMerged, {.num_buffers = 41}, std::vector<uint32_t>(41, 4096));
  ExpectFine(kMerged, {.num_buffers = 40}, std::vector<uint32_t>(40, 4096));
  // It means nothing without MRG_RXBUF.
  ExpectFine({}, {.num_buffers = 0xffff}, {12 + 60});
}

TEST_P(HostileDeviceTest, UsedLength) {
  ExpectBroken(kMerged, {.num_buffers = 1}, {4097});
  ExpectBroken(kMerged, {.num_buffers = 1}, {0xffffffff});
  ExpectBroken(kMerged, {.num_buffers = 1}, {11});
  ExpectBroken(kMerged, {.num_buffers = 1}, {12});
  ExpectBroken(kMerged, {.num_buffers = 2}, {4096, 4097});
  ExpectBroken(kMerged, {.num_buffers = 2}, {4095, 1});
  ExpectBroken(kMerged, {.num_buffers = 2}, {4096, 0});
  ExpectBroken(kMerged, {.num_buffers = 3}, {4096, 4095, 1});
  ExpectBroken(kA, Split(66, 1), {128 + 2 * 4096 + 1});
  ExpectFine(kA, Split(66, 1), {128 + 2 * 4096});
}

TEST_P(HostileDeviceTest, HeaderLengthOfAChain) {
  ExpectFine(kA, Split(116, 1), {128 + 1});
  ExpectBroken(kA, Split(117, 1), {128 + 1});
  ExpectBroken(kA, Split(0xffff, 1), {128 + 1});
  ExpectBroken(kA, Split(0, 1), {128 + 1});
  ExpectBroken(kA, Split(66, 1), {128});
  ExpectBroken(kA, Split(66, 1), {12 + 66});
}

TEST_P(HostileDeviceTest, HeaderLengthOfBuffers) {
  ExpectFine(kB, Split(4084, 2), {4096, 1});
  ExpectBroken(kB, Split(4085, 2), {4096, 1});
  ExpectBroken(kB, Split(66, 2), {12 + 67, 1});
  ExpectBroken(kB, Split(66, 2), {12 + 65, 1});
  ExpectBroken(kB, Split(0, 2), {12, 1});
  ExpectBroken(kB, Split(66, 1), {12 + 66});
  ExpectBroken(kB, Split(66, 3), {12 + 66, 4095, 1});
}

TEST_P(HostileDeviceTest, SmallBuffersWhereTheyMayNotBe) {
  // They are small and large in turn.
  ExpectFine(kC, Split(66, 4), {12 + 66, 4096, 0, 1});
  ExpectBroken(kC, Split(66, 4), {12 + 66, 4096, 1, 1});
  ExpectBroken(kC, Split(66, 3), {12 + 66, 4096, 0});
  ExpectBroken(kC, Split(66, 3), {12 + 66, 4096, 5});
  ExpectBroken(kC, Split(245, 2), {256, 1});
  // A header in a data buffer.
  HeaderSplitPair pair(GetParam(), kC);
  pair.Post();
  pair.DeliverUnsplit(NumberedFrame(60));
  ReceivedPacket packet;
  ASSERT_TRUE(pair.Get(packet));
  Play(pair, Split(66, 3), {12 + 66, 0, 4096});
  EXPECT_FALSE(pair.Get(packet));
  EXPECT_TRUE(pair.broken());
}

TEST_P(HostileDeviceTest, SlotThatTheDeviceDoesNotHave) {
  ExpectFine(kQ, Slot(3, kId, 128), {20 + 1});
  ExpectBroken(kQ, Slot(4, kId, 66), {20 + 1});
  ExpectBroken(kQ, Slot(0xffff, kId, 66), {20 + 1});
  ExpectBroken(kQ, Slot(0x8000, kId, 66), {20 + 1});
  ExpectBroken(kQ, Slot(0, kId + 1, 66), {20 + 1});
  ExpectBroken(kQ, Slot(0, kId, 129), {20 + 1});
  ExpectBroken(kQ, Slot(0, kId, 0), {20 + 1});
  ExpectBroken(kQ, Slot(0, kId, 66), {20});
}

TEST_P(HostileDeviceTest, SlotNamedTwice) {
  HeaderSplitPair pair(GetParam(), kQ);
  pair.Post();
  Play(pair, Slot(1, kId, 66), {20 + 1});
  Play(pair, Slot(1, kId, 66), {20 + 1});
  ReceivedPacket packet;
  EXPECT_TRUE(pair.Get(packet));
  EXPECT_FALSE(pair.Get(packet));
  EXPECT_TRUE(pair.broken());
}

TEST_P(HostileDeviceTest, SlotOfAnOlderLap) {
  HeaderSplitPair pair(GetParam(), kQ);
  pair.Post();
  ReceivedPacket packet;
  Play(pair, Slot(0, kId, 66), {20 + 1});
  ASSERT_TRUE(pair.Get(packet));
  pair.ReleaseAll(packet);
  // 4 has the place of 0, but not before the device was shown it.
  Play(pair, Slot(0, kId, 66), {20 + 1});
  EXPECT_FALSE(pair.Get(packet));
  EXPECT_TRUE(pair.broken());
}

// Of a packet that cannot be, no memory is lost either.
TEST_P(HostileDeviceTest, RestartMakesItWhole) {
  struct Case {
    ReceiverOptions options;
    ReceivedHeader header;
    std::vector<uint32_t> lengths;
  };
  const Case cases[] = {
      {kMerged, {.num_buffers = 0}, {12 + 60}},
      {kMerged, {.num_buffers = 3}, {4096, 4096}},
      {kMerged, {.num_buffers = 3}, {4096, 7, 7}},
      {kMerged, {.num_buffers = 50}, std::vector<uint32_t>(50, 4096)},
      {kA, Split(66, 1), {12 + 66}},
      {kB, Split(66, 3), {12 + 66, 4095, 1}},
      {kC, Split(66, 4), {12 + 66, 4096, 1, 1}},
      {kQ, Slot(0, kId, 66), {20}},
  };
  for (const Case& one : cases) {
    HeaderSplitPair pair(GetParam(), one.options);
    const uint32_t posted = pair.Post();
    Play(pair, one.header, one.lengths);
    ReceivedPacket packet;
    EXPECT_FALSE(pair.Get(packet));
    EXPECT_FALSE(pair.Get(packet)) << "nothing twice";
    EXPECT_TRUE(pair.broken());
    pair.Restart();
    EXPECT_FALSE(pair.broken());
    EXPECT_EQ(pair.pages().free_count(), HeaderSplitPair::kPages);
    EXPECT_EQ(pair.small().free_count(), HeaderSplitPair::kSmall);
    EXPECT_EQ(pair.Post(), posted);
  }
}

}  // namespace
}  // namespace annulus::virtio
