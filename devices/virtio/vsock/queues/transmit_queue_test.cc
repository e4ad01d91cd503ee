#include "devices/virtio/vsock/queues/transmit_queue.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/queues/recording_muxer.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class TransmitQueueTest : public testing::TestWithParam<RingShape> {
 protected:
  TransmitQueueTest() { queue_.QueueStarted(fixture_.queue()); }

  // Splits `packet` at these places.
  void Offer(const std::string& packet, const std::vector<size_t>& pieces) {
    FakeDriver::ChainBuilder chain = fixture_.driver().Chain();
    size_t done = 0;
    for (const size_t bytes : pieces) {
      chain.Readable(packet.substr(done, bytes));
      done += std::min(bytes, packet.size() - done);
    }
    if (done != packet.size()) chain.Readable(packet.substr(done));
    ASSERT_TRUE(chain.Offer().has_value());
  }

  // Until there is nothing more; how many buffers came back, each with 0 bytes.
  size_t Drain() {
    size_t count = 0;
    while (true) {
      const bool more = queue_.Drain(fixture_.queue());
      for (const FakeDriver::Used& used : fixture_.Collect()) {
        EXPECT_EQ(used.len, 0u);
        ++count;
      }
      if (!more) return count;
    }
  }

  QueueFixture fixture_{GetParam()};
  RecordingMuxer muxer_;
  RecordingPort port_;
  std::atomic<uint64_t> guest_cid_{kGuestCid};
  Turn turn_;
  VsockCounters counters_;
  VsockTransmitQueue queue_{64,
                            {.muxer = muxer_,
                             .port = &port_,
                             .guest_cid = guest_cid_,
                             .turn = turn_,
                             .counters = counters_}};
};

// Facts 3.9, 1 to 3 (firecracker#4284, cloud-hypervisor#7672, libkrun#674 and
// more): "Drivers and devices MUST NOT make assumptions about the layout".
TEST_P(TransmitQueueTest, PacketMayLieInAnyNumberOfDescriptors) {
  const std::string payload = Bytes(5000);
  const std::string packet = WirePacket(RwHeader(), payload);
  std::vector<size_t> one_byte_each(43, 1);
  const std::vector<std::vector<size_t>> layouts = {
      {},               // One descriptor: before 6.3, and of others.
      {44},             // Linux 6.1.
      {20, 24},         // A header in two.
      {1, 43, 1},       //
      {43, 2},          // Both in one.
      {45},             //
      {44, 4096},       // Pages.
      {100, 100, 100},  //
      one_byte_each,    // 44 descriptors.
      // Linux 6.12: a header and 17 fragments.
      {44, 290, 290, 290, 290, 290, 290, 290, 290, 290, 290, 290, 290, 290, 290,
       290, 290},
  };
  for (const std::vector<size_t>& layout : layouts) {
    Offer(packet, layout);
    EXPECT_EQ(Drain(), 1u);
    ASSERT_EQ(muxer_.packets.size(), 1u);
    PacketHeader expected = RwHeader();
    expected.len = 5000;
    EXPECT_EQ(muxer_.packets[0].first, expected);
    EXPECT_EQ(muxer_.packets[0].second, payload);
    muxer_.packets.clear();
  }
  EXPECT_EQ(counters_.packets.value(), layouts.size());
  EXPECT_EQ(counters_.bytes.value(), 5000 * layouts.size());
  EXPECT_EQ(counters_.malformed.value(), 0u);
}

TEST_P(TransmitQueueTest, AsManyDescriptorsAsTheQueueHas) {
  const std::string payload = Bytes(20);
  Offer(WirePacket(RwHeader(), payload), std::vector<size_t>(63, 1));
  EXPECT_EQ(Drain(), 1u);
  ASSERT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(muxer_.packets[0].second, payload);
}

// "Only the first len bytes are data" since virtio 1.3.
TEST_P(TransmitQueueTest, BytesBehindThePayloadAreIgnored) {
  for (const size_t split : {44u, 47u, 60u}) {
    Offer(WirePacket(RwHeader(), "abc") + Bytes(100), {split});
    EXPECT_EQ(Drain(), 1u);
  }
  ASSERT_EQ(muxer_.packets.size(), 3u);
  for (const auto& [header, payload] : muxer_.packets) {
    EXPECT_EQ(payload, "abc");
  }
}

// Bad_inputs 33.
TEST_P(TransmitQueueTest, LengthBeyondTheDescriptorsIsNoPacket) {
  for (const uint32_t len : {4u, 0x80000000u, 0xffffffffu}) {
    std::string packet = WirePacket(RwHeader(), "abc");
    for (int i = 0; i < 4; ++i) {
      packet[kVsockHeaderLen + i] = static_cast<char>(len >> 8 * i);
    }
    Offer(packet, {44});
    EXPECT_EQ(Drain(), 1u);
  }
  EXPECT_TRUE(muxer_.packets.empty());
  EXPECT_TRUE(muxer_.refused.empty());
  EXPECT_EQ(counters_.malformed.value(), 3u);
}

TEST_P(TransmitQueueTest, BufferShorterThanAHeaderIsNoPacket) {
  Offer(WirePacket(RwHeader(), "").substr(0, 43), {10});
  ASSERT_TRUE(fixture_.driver().Chain().Writable(100).Offer().has_value());
  Offer(WirePacket(RwHeader(), ""), {});
  EXPECT_EQ(Drain(), 3u);
  EXPECT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(counters_.malformed.value(), 2u);
}

TEST_P(TransmitQueueTest, WritableDescriptorsAreNoPartOfAPacket) {
  ASSERT_TRUE(fixture_.driver()
                  .Chain()
                  .Readable(WirePacket(RwHeader(), "abc"))
                  .Writable(100)
                  .Offer()
                  .has_value());
  EXPECT_EQ(Drain(), 1u);
  ASSERT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(muxer_.packets[0].second, "abc");
}

// Of the proposal: both directions have the longer header, and num_buffers is
// of no meaning here.
TEST_P(TransmitQueueTest, MergeableHeaderIsLonger) {
  queue_.SetHeaderBytes(kVsockMergeableHeaderBytes);
  Offer(WirePacket(RwHeader(), "abc", kVsockMergeableHeaderBytes), {45});
  Offer(WirePacket(RwHeader(), "", kVsockHeaderBytes) + "\x01", {});
  EXPECT_EQ(Drain(), 2u);
  ASSERT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(muxer_.packets[0].second, "abc");
  EXPECT_EQ(counters_.malformed.value(), 1u);
}

// Bad_inputs 35, "wrong src cid".
TEST_P(TransmitQueueTest, PacketsOfAnotherGuestsAreDroppedAndCounted) {
  for (const uint64_t cid : {uint64_t{0}, uint64_t{2}, uint64_t{kGuestCid + 1},
                             kGuestCid | uint64_t{1} << 32}) {
    PacketHeader header = RwHeader();
    header.src_cid = cid;
    Offer(WirePacket(header, "abc"), {44});
    header.dst_cid = port_.reachable;
    Offer(WirePacket(header, "abc"), {44});
  }
  EXPECT_EQ(Drain(), 8u);
  EXPECT_TRUE(muxer_.packets.empty());
  EXPECT_TRUE(muxer_.refused.empty());
  EXPECT_TRUE(port_.sent.empty());
  EXPECT_EQ(counters_.spoofed.value(), 8u);
}

TEST_P(TransmitQueueTest, NewCidIsTheOnlyOneFromThenOn) {
  guest_cid_ = 50;
  PacketHeader header = RwHeader();
  Offer(WirePacket(header, ""), {});
  header.src_cid = 50;
  Offer(WirePacket(header, ""), {});
  EXPECT_EQ(Drain(), 2u);
  EXPECT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(counters_.spoofed.value(), 1u);
}

TEST_P(TransmitQueueTest, PacketGoesWhereItsCidIs) {
  PacketHeader header = RwHeader();
  header.dst_cid = port_.reachable;
  Offer(WirePacket(header, "abc"), {44});
  EXPECT_EQ(Drain(), 1u);
  ASSERT_EQ(port_.sent.size(), 1u);
  EXPECT_TRUE(muxer_.refused.empty());
}

// Bad_inputs 35, "dst_cid loops": neither reserved ones nor itself are asked
// for.
TEST_P(TransmitQueueTest, UnreachableCidsAreRefused) {
  port_.reachable = kGuestCid;
  for (const uint64_t cid : {uint64_t{0}, uint64_t{1}, uint64_t{kGuestCid}}) {
    PacketHeader header = RwHeader();
    header.dst_cid = cid;
    Offer(WirePacket(header, "abc"), {44});
  }
  EXPECT_EQ(Drain(), 3u);
  EXPECT_TRUE(port_.sent.empty());
  ASSERT_EQ(muxer_.refused.size(), 3u);
  for (const auto& [header, reason] : muxer_.refused) {
    EXPECT_EQ(reason, VsockReset::kUnreachable);
  }
  // The port's own reason.
  PacketHeader header = RwHeader();
  header.dst_cid = 99;
  Offer(WirePacket(header, "abc"), {44});
  EXPECT_EQ(Drain(), 1u);
  ASSERT_EQ(muxer_.refused.size(), 4u);
  EXPECT_EQ(muxer_.refused[3].second, VsockReset::kRefused);
}

// "The upper 32 bits of the CID are reserved and zeroed."
TEST_P(TransmitQueueTest, CidOfMoreThan32BitsIsMalformed) {
  PacketHeader header = RwHeader();
  header.dst_cid = kVsockHostCid | uint64_t{1} << 32;
  Offer(WirePacket(header, "abc"), {44});
  EXPECT_EQ(Drain(), 1u);
  EXPECT_TRUE(muxer_.packets.empty());
  EXPECT_TRUE(muxer_.refused.empty());
  EXPECT_EQ(counters_.malformed.value(), 1u);
}

// Whatever it is: the muxer knows what to do with it.
TEST_P(TransmitQueueTest, UnknownOperationsAndTypesArePassedOn) {
  PacketHeader header = RwHeader();
  header.op = 99;
  header.type = 98;
  header.flags = 0xffffffff;
  Offer(WirePacket(header, "abc"), {44});
  EXPECT_EQ(Drain(), 1u);
  ASSERT_EQ(muxer_.packets.size(), 1u);
  EXPECT_EQ(muxer_.packets[0].first.op, 99);
  EXPECT_EQ(muxer_.packets[0].first.type, 98);
}

TEST_P(TransmitQueueTest, OneDrainIsBounded) {
  const std::string packet = WirePacket(RwHeader(), Bytes(300 * 1024));
  for (int i = 0; i < 4; ++i) Offer(packet, {});
  EXPECT_TRUE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(muxer_.packets.size(), 2u);
  EXPECT_EQ(fixture_.Collect().size(), 2u) << "given back at once";
  EXPECT_EQ(Drain(), 2u);
  EXPECT_EQ(muxer_.packets.size(), 4u);
}

// Pause and resume: what was taken and not served is seen again.
TEST_P(TransmitQueueTest, StoppedQueueIsForgotten) {
  const std::string packet = WirePacket(RwHeader(), Bytes(300 * 1024));
  for (int i = 0; i < 4; ++i) Offer(packet, {});
  EXPECT_TRUE(queue_.Drain(fixture_.queue()));
  queue_.QueueStopped();
  QueueFixture other(GetParam());
  queue_.QueueStarted(other.queue());
  EXPECT_FALSE(queue_.Drain(other.queue()));
  ASSERT_TRUE(other.driver()
                  .Chain()
                  .Readable(WirePacket(RwHeader(), "abc"))
                  .Offer()
                  .has_value());
  EXPECT_TRUE(queue_.Drain(other.queue()));
  EXPECT_EQ(muxer_.packets.back().second, "abc");
  EXPECT_EQ(other.Collect().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Rings, TransmitQueueTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

TEST(TransmitQueueWithoutSwitchTest, OtherGuestsAreUnreachable) {
  QueueFixture fixture({});
  RecordingMuxer muxer;
  const std::atomic<uint64_t> guest_cid{kGuestCid};
  Turn turn;
  VsockCounters counters;
  VsockTransmitQueue queue(64, {.muxer = muxer,
                                .port = nullptr,
                                .guest_cid = guest_cid,
                                .turn = turn,
                                .counters = counters});
  queue.QueueStarted(fixture.queue());
  PacketHeader header = RwHeader();
  header.dst_cid = 77;
  ASSERT_TRUE(fixture.driver()
                  .Chain()
                  .Readable(WirePacket(header, "abc"))
                  .Offer()
                  .has_value());
  EXPECT_TRUE(queue.Drain(fixture.queue()));
  ASSERT_EQ(muxer.refused.size(), 1u);
  EXPECT_EQ(muxer.refused[0].second, VsockReset::kUnreachable);
}

}  // namespace
}  // namespace annulus::virtio
