#include "devices/virtio/vsock/queues/rx_buffers.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// To the guest.
PacketHeader Header(uint16_t op, uint32_t flags = 0) {
  return {.src_cid = kVsockHostCid,
          .dst_cid = kGuestCid,
          .src_port = 2000,
          .dst_port = 1000,
          .type = kVsockTypeStream,
          .op = op,
          .flags = flags,
          .buf_alloc = 65536,
          .fwd_cnt = 7};
}

size_t SizeOf(absl::Span<const iovec> vectors) {
  size_t size = 0;
  for (const iovec& vector : vectors) size += vector.iov_len;
  return size;
}

// As recvmsg(2) would.
void Fill(absl::Span<const iovec> vectors, const std::string& bytes) {
  size_t done = 0;
  for (const iovec& vector : vectors) {
    const size_t here = std::min(vector.iov_len, bytes.size() - done);
    std::memcpy(vector.iov_base, bytes.data() + done, here);
    done += here;
  }
  ASSERT_EQ(done, bytes.size());
}

std::vector<uint8_t> AsBytes(const std::string& text) {
  return {text.begin(), text.end()};
}

class RxBuffersTest : public testing::TestWithParam<RingShape> {
 protected:
  void Start(bool mergeable) { buffers_.Start(fixture_.queue(), mergeable); }

  void Offer(const std::vector<uint32_t>& elements) {
    FakeDriver::ChainBuilder chain = fixture_.driver().Chain();
    for (const uint32_t bytes : elements) chain.Writable(bytes);
    ASSERT_TRUE(chain.Offer().has_value());
  }

  QueueFixture fixture_{GetParam()};
  VsockCounters counters_;
  RxBuffers buffers_{64, counters_};
};

TEST_P(RxBuffersTest, PacketWithoutPayloadTakesOneBuffer) {
  Start(false);
  Offer({4096});
  Offer({4096});
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpResponse)));
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(used[0].len, kVsockHeaderBytes);
  EXPECT_EQ(HeaderOf(used[0].data), Header(kVsockOpResponse));
  EXPECT_EQ(used[0].all.substr(kVsockHeaderBytes),
            std::string(4096 - kVsockHeaderBytes, '\xee'));
}

TEST_P(RxBuffersTest, WithoutABufferThereIsNoRoom) {
  Start(false);
  EXPECT_FALSE(buffers_.Put(Header(kVsockOpResponse)));
  EXPECT_TRUE(buffers_.Room(1000, 10).empty());
  uint32_t packets = 0;
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes("hello"), 10, packets),
            0u);
  EXPECT_EQ(packets, 0u);
  Offer({100});
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpResponse)));
  EXPECT_FALSE(buffers_.Put(Header(kVsockOpResponse)));
}

// Facts 2.2: Linux drops a packet, and its bytes, whose used length is not that
// of its header and payload. Facts 3.9, 1 to 3: Linux before 6.1.63 gives
// buffers of 44 and 4096 bytes; others may give anything.
TEST_P(RxBuffersTest, HeaderAndPayloadMayLieInAnyElements) {
  const std::string payload = Bytes(300);
  for (const std::vector<uint32_t>& elements : {std::vector<uint32_t>{4096},
                                                {44, 4096},
                                                {20, 24, 300},
                                                {43, 1000},
                                                {45, 1000},
                                                {1, 1, 1, 500},
                                                {16, 16, 16, 16, 16, 300},
                                                {344}}) {
    Start(false);
    Offer(elements);
    const absl::Span<const iovec> room = buffers_.Room(300, 1);
    ASSERT_EQ(SizeOf(room), 300u);
    Fill(room, payload);
    EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw), 300), 1u);
    const std::vector<FakeDriver::Used> used = fixture_.Collect();
    ASSERT_EQ(used.size(), 1u);
    EXPECT_EQ(used[0].len, kVsockHeaderBytes + 300);
    PacketHeader expected = Header(kVsockOpRw);
    expected.len = 300;
    EXPECT_EQ(HeaderOf(used[0].data), expected);
    EXPECT_EQ(used[0].data.substr(kVsockHeaderBytes), payload);
    // The same from private memory.
    Offer(elements);
    uint32_t packets = 0;
    EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(payload), 1, packets),
              300u);
    EXPECT_EQ(packets, 1u);
    const std::vector<FakeDriver::Used> again = fixture_.Collect();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].data, used[0].data);
  }
  EXPECT_EQ(counters_.malformed.value(), 0u);
}

TEST_P(RxBuffersTest, OneReadFillsManyPackets) {
  Start(false);
  for (int i = 0; i < 20; ++i) Offer({3776});
  const std::string payload = Bytes(10 * 3732 + 5);
  const absl::Span<const iovec> room = buffers_.Room(payload.size(), 100);
  ASSERT_EQ(SizeOf(room), payload.size());
  Fill(room, payload);
  EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw, kVsockSeqEom), payload.size()),
            11u);
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 11u);
  std::string received;
  for (size_t i = 0; i < used.size(); ++i) {
    const PacketHeader header = HeaderOf(used[i].data);
    EXPECT_EQ(header.len, i < 10 ? 3732u : 5u);
    EXPECT_EQ(header.flags, i < 10 ? 0 : kVsockSeqEom);
    EXPECT_EQ(used[i].len, kVsockHeaderBytes + header.len);
    received += used[i].data.substr(kVsockHeaderBytes);
  }
  EXPECT_EQ(received, payload);
  EXPECT_EQ(counters_.packets.value(), 11u);
  EXPECT_EQ(counters_.bytes.value(), payload.size());
}

TEST_P(RxBuffersTest, RoomEndsWithBytesOrPackets) {
  Start(false);
  for (int i = 0; i < 5; ++i) Offer({144});
  EXPECT_EQ(SizeOf(buffers_.Room(150, 100)), 150u);
  EXPECT_EQ(SizeOf(buffers_.Room(1000, 3)), 300u);
  EXPECT_EQ(SizeOf(buffers_.Room(1000, 100)), 500u);
  uint32_t packets = 0;
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(Bytes(1000)), 2, packets),
            200u);
  EXPECT_EQ(packets, 2u);
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw, kVsockSeqEom), AsBytes(Bytes(1000)),
                         10, packets),
            300u);
  EXPECT_EQ(packets, 5u);
  for (const FakeDriver::Used& used : fixture_.Collect()) {
    EXPECT_EQ(HeaderOf(used.data).flags, 0u) << "the message is not over";
  }
}

// What was read fills less than there was room for: the rest of the buffers is
// for the next packet.
TEST_P(RxBuffersTest, ShortReadLeavesBuffersForTheNext) {
  Start(false);
  for (int i = 0; i < 4; ++i) Offer({144});
  Fill(buffers_.Room(400, 4), Bytes(101));
  EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw), 101), 2u);
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpShutdown)));
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 3u);
  EXPECT_EQ(HeaderOf(used[1].data).len, 1u);
  EXPECT_EQ(HeaderOf(used[2].data).op, kVsockOpShutdown);
}

TEST_P(RxBuffersTest, NoPacketHasMoreThanLinuxWouldSend) {
  for (const bool mergeable : {false, true}) {
    Start(mergeable);
    Offer({200000});
    Offer({200000});
    const size_t expected = 2 * RxBuffers::kMaxPayload;
    EXPECT_EQ(SizeOf(buffers_.Room(1 << 20, 100)), expected);
    Fill(buffers_.Room(1 << 20, 100), Bytes(expected));
    EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw), expected), 2u);
    ASSERT_EQ(fixture_.Collect().size(), 2u);
  }
}

// Bad_inputs F; they may be the whole queue, and then it must go on.
TEST_P(RxBuffersTest, BuffersWithoutRoomForAHeaderAreGivenBackAndCounted) {
  for (const bool mergeable : {false, true}) {
    const uint64_t before = counters_.malformed.value();
    Start(mergeable);
    const uint32_t header = mergeable ? 46 : 44;
    for (int i = 0; i < 20; ++i) Offer({header - 1});
    EXPECT_FALSE(buffers_.Put(Header(kVsockOpResponse)));
    ASSERT_EQ(fixture_.Collect().size(), 20u);
    EXPECT_EQ(counters_.malformed.value(), before + 20);
    Offer({10, header - 11});
    // Readable only.
    ASSERT_TRUE(fixture_.driver()
                    .Chain()
                    .Readable(std::string(100, 'x'))
                    .Offer()
                    .has_value());
    Offer({header});
    EXPECT_TRUE(buffers_.Put(Header(kVsockOpResponse)));
    const std::vector<FakeDriver::Used> used = fixture_.Collect();
    ASSERT_EQ(used.size(), 3u);
    EXPECT_EQ(used[0].len, 0u);
    EXPECT_EQ(used[1].len, 0u);
    EXPECT_EQ(used[2].len, header);
    EXPECT_EQ(counters_.malformed.value(), before + 22);
  }
}

// It is of use for a packet without payload, but not for one with.
TEST_P(RxBuffersTest, BufferOfAHeaderAloneIsNoRoomForPayload) {
  Start(false);
  Offer({144});
  Offer({44});
  Offer({144});
  EXPECT_EQ(SizeOf(buffers_.Room(1000, 10)), 100u);
  Fill(buffers_.Room(1000, 10), Bytes(100));
  EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw), 100), 1u);
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpCreditUpdate)));
  EXPECT_EQ(SizeOf(buffers_.Room(1000, 10)), 100u);
}

// Of the proposal: "num_buffers", "MUST fill the first num_buffers-1 buffers
// completely", "MUST use all of them together".
TEST_P(RxBuffersTest, MergedPacketFillsAllButItsLastBuffer) {
  Start(true);
  for (const uint32_t size : {100, 200, 46, 1000, 1000}) Offer({size});
  const std::string payload = Bytes(54 + 200 + 46 + 33);
  const absl::Span<const iovec> room = buffers_.Room(payload.size(), 1);
  ASSERT_EQ(SizeOf(room), payload.size());
  Fill(room, payload);
  EXPECT_FALSE(fixture_.driver().HasUsed());
  EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw), payload.size()), 1u);
  EXPECT_FALSE(fixture_.driver().HasUsed()) << "not one by one";
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpShutdown)));
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 5u);
  EXPECT_EQ(HeaderOf(used[0].data).len, payload.size());
  EXPECT_EQ(NumBuffersOf(used[0].data), 4);
  EXPECT_EQ(
      used[0].data.substr(46) + used[1].data + used[2].data + used[3].data,
      payload);
  EXPECT_EQ(used[0].len, 100u);
  EXPECT_EQ(used[1].len, 200u);
  EXPECT_EQ(used[2].len, 46u);
  EXPECT_EQ(used[3].len, 33u);
  EXPECT_EQ(used[4].len, kVsockMergeableHeaderBytes);
  EXPECT_EQ(NumBuffersOf(used[4].data), 1);
}

// "Buffers", not descriptors: a buffer of many counts once.
TEST_P(RxBuffersTest, NumBuffersCountsBuffersAndNotDescriptors) {
  Start(true);
  Offer({20, 30, 50});
  Offer({10, 10, 10});
  uint32_t packets = 0;
  const std::string payload = Bytes(54 + 25);
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(payload), 9, packets),
            payload.size());
  EXPECT_EQ(packets, 1u);
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 2u);
  EXPECT_EQ(NumBuffersOf(used[0].data), 2);
  EXPECT_EQ(used[0].data.substr(46) + used[1].data, payload);
}

TEST_P(RxBuffersTest, MergedPacketThatJustFillsItsBuffersTakesNoMore) {
  Start(true);
  Offer({146});
  Offer({100});
  Offer({100});
  uint32_t packets = 0;
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(Bytes(200)), 9, packets),
            200u);
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 2u);
  EXPECT_EQ(NumBuffersOf(used[0].data), 2);
}

// The header may fill the first buffer, which may be the only one for a while.
TEST_P(RxBuffersTest, MergedPayloadMayBeginInTheSecondBuffer) {
  Start(true);
  Offer({46});
  EXPECT_TRUE(buffers_.Room(100, 1).empty());
  uint32_t packets = 0;
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(Bytes(100)), 1, packets),
            0u);
  Offer({100});
  EXPECT_EQ(buffers_.Put(Header(kVsockOpRw), AsBytes(Bytes(100)), 1, packets),
            100u);
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  ASSERT_EQ(used.size(), 2u);
  EXPECT_EQ(used[1].data, Bytes(100));
}

TEST_P(RxBuffersTest, MergedPacketsTakeUpToTheLargestPayloadEach) {
  Start(true);
  for (int i = 0; i < 50; ++i) Offer({4096});
  const std::string payload = Bytes(2 * RxBuffers::kMaxPayload + 1000);
  const absl::Span<const iovec> room = buffers_.Room(payload.size(), 10);
  ASSERT_EQ(SizeOf(room), payload.size());
  Fill(room, payload);
  EXPECT_EQ(buffers_.Commit(Header(kVsockOpRw, kVsockSeqEom), payload.size()),
            3u);
  const std::vector<FakeDriver::Used> used = fixture_.Collect();
  std::string received;
  std::vector<uint32_t> flags;
  for (size_t i = 0; i < used.size();) {
    const PacketHeader header = HeaderOf(used[i].data);
    const size_t buffers = NumBuffersOf(used[i].data);
    ASSERT_LE(i + buffers, used.size());
    std::string packet;
    for (size_t n = 0; n < buffers; ++n) packet += used[i + n].data;
    EXPECT_EQ(packet.size(), 46 + header.len);
    received += packet.substr(46);
    flags.push_back(header.flags);
    i += buffers;
  }
  EXPECT_EQ(received, payload);
  EXPECT_EQ(flags, (std::vector<uint32_t>{0, 0, kVsockSeqEom}));
}

TEST_P(RxBuffersTest, ManyRoundsOverTheRingLoseNothing) {
  for (const bool mergeable : {false, true}) {
    QueueFixture fixture(GetParam());
    buffers_.Start(fixture.queue(), mergeable);
    uint32_t seed = 1;
    const auto random = [&seed](size_t below) {
      seed = seed * 1664525 + 1013904223;
      return (seed >> 8) % static_cast<uint32_t>(below);
    };
    std::string sent;
    std::string received;
    size_t left = 0;  // Buffers of the packet in hand.
    for (int round = 0; round < 300; ++round) {
      for (uint32_t i = random(40); i > 0; --i) {
        FakeDriver::ChainBuilder chain = fixture.driver().Chain();
        for (uint32_t n = 1 + random(3); n > 0; --n) {
          chain.Writable(46 + random(900));
        }
        (void)chain.Offer();
      }
      const absl::Span<const iovec> room =
          buffers_.Room(1 + random(20000), 1 + random(30));
      if (!room.empty()) {
        const std::string payload =
            Bytes(1 + random(SizeOf(room)), random(1000));
        Fill(room, payload);
        (void)buffers_.Commit(Header(kVsockOpRw), payload.size());
        sent += payload;
      }
      for (const FakeDriver::Used& used : fixture.Collect()) {
        if (left == 0) {
          left = mergeable ? NumBuffersOf(used.data) : 1;
          received += used.data.substr(mergeable ? 46 : 44);
        } else {
          received += used.data;
        }
        --left;
      }
    }
    EXPECT_EQ(received, sent);
    EXPECT_GT(sent.size(), 100000u);
  }
}

TEST_P(RxBuffersTest, StoppedQueueIsForgotten) {
  Start(false);
  Offer({144});
  EXPECT_EQ(SizeOf(buffers_.Room(1000, 10)), 100u);
  buffers_.Stop();
  QueueFixture other(GetParam());
  buffers_.Start(other.queue(), true);
  EXPECT_FALSE(buffers_.Put(Header(kVsockOpResponse)));
  ASSERT_TRUE(other.driver().Chain().Writable(100).Offer().has_value());
  EXPECT_TRUE(buffers_.Put(Header(kVsockOpResponse)));
  EXPECT_EQ(other.Collect().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Rings, RxBuffersTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

}  // namespace
}  // namespace annulus::virtio
