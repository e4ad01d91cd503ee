// Both queues of datagrams.

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/datagram_receive_queue.h"
#include "devices/virtio/vsock/queues/datagram_transmit_queue.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/queues/recording_muxer.h"
#include "devices/virtio/vsock/queues/scripted_datagrams.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class DatagramReceiveTest : public testing::TestWithParam<RingShape> {
 protected:
  DatagramReceiveTest() { Start(false); }

  void Start(bool mergeable) {
    queue_.SetMergeable(mergeable);
    queue_.QueueStarted(fixture_.queue());
  }

  void Offer(uint32_t bytes, int count = 1) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(
          fixture_.driver().Chain().Writable(bytes).Offer().has_value());
    }
  }

  std::vector<FakeDriver::Used> Drain() {
    while (queue_.Drain(fixture_.queue())) {
    }
    return fixture_.Collect();
  }

  bool WaitsForSources() {
    const QueueWait wait = queue_.Wait();
    return wait.fds[0].fd == host_.fd() &&
           wait.fds[1].fd == port_.datagram_fd();
  }

  QueueFixture fixture_{GetParam()};
  ScriptedDatagrams host_;
  RecordingPort port_;
  std::atomic<uint64_t> guest_cid_{kGuestCid};
  TransportGate gate_;
  Turn turn_;
  VsockCounters counters_;
  DatagramReceiveQueue queue_{64,
                              {.host = &host_,
                               .port = &port_,
                               .guest_cid = guest_cid_,
                               .gate = gate_,
                               .turn = turn_,
                               .counters = counters_}};
};

TEST_P(DatagramReceiveTest, DatagramIsOnePacketWithBothPorts) {
  Offer(4096, 3);
  host_.Add({.guest = 10, .host = 20}, Bytes(1000));
  host_.Add({.guest = 11, .host = 0}, "");
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 2u);
  EXPECT_EQ(HeaderOf(used[0].data), (PacketHeader{.src_cid = kVsockHostCid,
                                                  .dst_cid = kGuestCid,
                                                  .src_port = 20,
                                                  .dst_port = 10,
                                                  .len = 1000,
                                                  .type = kVsockTypeDgram,
                                                  .op = kVsockOpRw}));
  EXPECT_EQ(used[0].data.substr(44), Bytes(1000));
  EXPECT_EQ(used[0].len, 1044u);
  EXPECT_EQ(HeaderOf(used[1].data).len, 0u);
  EXPECT_EQ(used[1].len, 44u);
  EXPECT_TRUE(WaitsForSources());
  EXPECT_FALSE(queue_.Wait().buffers);
}

// "Never split": neither cut off nor over two buffers that are no merged ones.
TEST_P(DatagramReceiveTest, DatagramLargerThanItsBufferIsLost) {
  Offer(1000, 2);
  host_.Add({.guest = 1}, Bytes(957));
  host_.Add({.guest = 2}, Bytes(956));
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(HeaderOf(used[0].data).dst_port, 2u);
  EXPECT_EQ(counters_.datagrams_lost.value(), 1u);
}

TEST_P(DatagramReceiveTest, MergedBuffersHoldALargerOne) {
  Start(true);
  Offer(1000, 3);
  host_.Add({.guest = 1}, Bytes(2954));
  std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 3u);
  EXPECT_EQ(NumBuffersOf(used[0].data), 3);
  EXPECT_EQ(used[0].data.substr(46) + used[1].data + used[2].data, Bytes(2954));
  Offer(1000, 3);
  host_.Add({.guest = 1}, Bytes(2955));
  EXPECT_TRUE(Drain().empty());
  EXPECT_EQ(counters_.datagrams_lost.value(), 1u);
}

TEST_P(DatagramReceiveTest, LargestDatagramFitsAndALargerOneDoesNot) {
  Offer(100000, 2);
  host_.Add({.guest = 1}, Bytes(65536));
  host_.Add({.guest = 2}, Bytes(65537));
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(HeaderOf(used[0].data).len, 65536u);
  EXPECT_EQ(counters_.datagrams_lost.value(), 1u);
}

// Level-triggered fds would spin.
TEST_P(DatagramReceiveTest, DatagramWaitsForABufferWithItsSender) {
  EXPECT_TRUE(Drain().empty());
  EXPECT_FALSE(queue_.Wait().buffers) << "nothing waits for one";
  EXPECT_TRUE(WaitsForSources());
  host_.Add({.guest = 1}, "hello");
  EXPECT_TRUE(Drain().empty());
  EXPECT_TRUE(queue_.Wait().buffers);
  EXPECT_EQ(queue_.Wait().fds[0].fd, -1);
  EXPECT_EQ(queue_.Wait().fds[1].fd, -1);
  EXPECT_EQ(counters_.buffer_stalls.value(), 1u);
  Offer(100);
  EXPECT_EQ(Drain().size(), 1u);
  EXPECT_TRUE(WaitsForSources());
}

TEST_P(DatagramReceiveTest, OneDrainIsBounded) {
  Offer(100, 60);
  for (int i = 0; i < 70; ++i) host_.Add({.guest = 1}, Bytes(100));
  EXPECT_TRUE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(host_.to_guest.size(), 6u) << "these did not fit, one and all";
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
}

TEST_P(DatagramReceiveTest, NothingIsSentWhileTheGateIsClosed) {
  Offer(100, 2);
  host_.Add({.guest = 1}, "hello");
  gate_.Close();
  EXPECT_TRUE(Drain().empty());
  EXPECT_FALSE(queue_.Wait().waits_for_fds());
  guest_cid_ = 50;
  gate_.Reset();
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(HeaderOf(used[0].data).dst_cid, 50u);
}

TEST_P(DatagramReceiveTest, BuffersWithoutRoomAreGivenBackAndCounted) {
  Offer(43, 3);
  Offer(100);
  host_.Add({.guest = 1}, "hello");
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 4u);
  EXPECT_EQ(used[2].len, 0u);
  EXPECT_EQ(used[3].len, 49u);
  EXPECT_EQ(counters_.malformed.value(), 3u);
}

class DatagramTransmitTest : public testing::TestWithParam<RingShape> {
 protected:
  DatagramTransmitTest() { queue_.QueueStarted(fixture_.queue()); }

  static PacketHeader Header(uint64_t to = kVsockHostCid) {
    PacketHeader header = RwHeader();
    header.dst_cid = to;
    header.type = kVsockTypeDgram;
    return header;
  }

  void Offer(const std::string& packet) {
    ASSERT_TRUE(fixture_.driver()
                    .Chain()
                    .Readable(packet.substr(0, 20))
                    .Readable(packet.substr(20))
                    .Offer()
                    .has_value());
  }

  size_t Drain() {
    while (queue_.Drain(fixture_.queue())) {
    }
    size_t count = 0;
    for (const FakeDriver::Used& used : fixture_.Collect()) {
      EXPECT_EQ(used.len, 0u);
      ++count;
    }
    return count;
  }

  QueueFixture fixture_{GetParam()};
  ScriptedDatagrams host_;
  RecordingPort port_;
  std::atomic<uint64_t> guest_cid_{kGuestCid};
  Turn turn_;
  VsockCounters counters_;
  DatagramTransmitQueue queue_{64,
                               {.host = &host_,
                                .port = &port_,
                                .guest_cid = guest_cid_,
                                .turn = turn_,
                                .counters = counters_}};
};

TEST_P(DatagramTransmitTest, DatagramGoesToItsPort) {
  Offer(WirePacket(Header(), Bytes(1000)));
  Offer(WirePacket(Header(), ""));
  EXPECT_EQ(Drain(), 2u);
  ASSERT_EQ(host_.from_guest.size(), 2u);
  EXPECT_EQ(host_.from_guest[0].first.guest, RwHeader().src_port);
  EXPECT_EQ(host_.from_guest[0].first.host, RwHeader().dst_port);
  EXPECT_EQ(host_.from_guest[0].second, Bytes(1000));
  EXPECT_EQ(host_.from_guest[1].second, "");
}

TEST_P(DatagramTransmitTest, WhatNobodyTakesIsLostAndCounted) {
  PacketHeader header = Header();
  header.dst_port = host_.nobody;
  Offer(WirePacket(header, "abc"));
  for (const uint64_t cid :
       {uint64_t{0}, uint64_t{1}, uint64_t{kGuestCid}, uint64_t{99}}) {
    Offer(WirePacket(Header(cid), "abc"));
  }
  EXPECT_EQ(Drain(), 5u);
  EXPECT_EQ(counters_.datagrams_lost.value(), 5u);
  Offer(WirePacket(Header(port_.reachable), "abc"));
  EXPECT_EQ(Drain(), 1u);
  EXPECT_EQ(counters_.datagrams_lost.value(), 5u);
}

TEST_P(DatagramTransmitTest, WhatIsNoDatagramIsDroppedAndCounted) {
  PacketHeader stream = Header();
  stream.type = kVsockTypeStream;
  PacketHeader request = Header();
  request.op = kVsockOpRequest;
  PacketHeader spoofed = Header();
  spoofed.src_cid = 7;
  Offer(WirePacket(stream, "abc"));
  Offer(WirePacket(request, "abc"));
  Offer(WirePacket(Header(), Bytes(65537)));
  Offer(WirePacket(Header(), "").substr(0, 43));
  Offer(WirePacket(spoofed, "abc"));
  EXPECT_EQ(Drain(), 5u);
  EXPECT_TRUE(host_.from_guest.empty());
  EXPECT_EQ(counters_.malformed.value(), 4u);
  EXPECT_EQ(counters_.spoofed.value(), 1u);
  Offer(WirePacket(Header(), Bytes(65536)));
  EXPECT_EQ(Drain(), 1u);
  EXPECT_EQ(host_.from_guest.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Rings, DatagramReceiveTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);
INSTANTIATE_TEST_SUITE_P(Rings, DatagramTransmitTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

// More than sendmsg(2) takes beside the sender's own.
TEST(DatagramTransmitLargeQueueTest, DatagramOf1024PiecesIsSentWhole) {
  QueueFixture fixture({.indirect = false}, 1024);
  ScriptedDatagrams host;
  const std::atomic<uint64_t> guest_cid{kGuestCid};
  Turn turn;
  VsockCounters counters;
  DatagramTransmitQueue queue(1024, {.host = &host,
                                     .port = nullptr,
                                     .guest_cid = guest_cid,
                                     .turn = turn,
                                     .counters = counters});
  queue.QueueStarted(fixture.queue());
  PacketHeader header = RwHeader();
  header.type = kVsockTypeDgram;
  const std::string payload = Bytes(1024 * 3);
  const std::string packet = WirePacket(header, payload);
  FakeDriver::ChainBuilder chain = fixture.driver().Chain();
  chain.Readable(packet.substr(0, 47));
  for (size_t i = 1; i < 1024; ++i) {
    chain.Readable(packet.substr(44 + 3 * i, 3));
  }
  ASSERT_TRUE(chain.Offer().has_value());
  EXPECT_TRUE(queue.Drain(fixture.queue()));
  ASSERT_EQ(host.from_guest.size(), 1u);
  EXPECT_EQ(host.from_guest[0].second, payload);
  EXPECT_LE(host.most_vectors, 1023u);
}

}  // namespace
}  // namespace annulus::virtio
