#include "devices/virtio/vsock/queues/receive_queue.h"

#include <poll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/idle_host_loop.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/queues/recording_muxer.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class ReceiveQueueTest : public testing::TestWithParam<RingShape> {
 protected:
  ReceiveQueueTest() {
    queue_.QueueStarted(fixture_.queue());
    const Turn::Work turn(turn_);  // The loop is this thread's from now on.
  }
  ~ReceiveQueueTest() override { queue_.QueueStopped(); }

  void Offer(int buffers) {
    for (int i = 0; i < buffers; ++i) {
      ASSERT_TRUE(fixture_.driver().Chain().Writable(100).Offer().has_value());
    }
  }

  // How many packets of each source came, {host, port}.
  std::array<int, 2> Collect() {
    std::array<int, 2> packets = {};
    for (const FakeDriver::Used& used : fixture_.Collect()) {
      ++packets[HeaderOf(used.data).src_cid == kVsockHostCid ? 0 : 1];
    }
    return packets;
  }

  bool WaitsFor(int fd) {
    for (const pollfd& one : queue_.Wait().fds) {
      if (one.fd == fd) return one.events == POLLIN;
    }
    return false;
  }

  using Counts = std::array<int, 2>;

  QueueFixture fixture_{GetParam()};
  RecordingMuxer muxer_;
  RecordingPort port_;
  TransportGate gate_;
  Turn turn_;
  VsockCounters counters_;
  std::unique_ptr<IdleHostLoop> host_loop_ =
      IdleHostLoop::Create("test/host", muxer_, turn_).value();
  VsockReceiveQueue queue_{64,
                           {.muxer = muxer_,
                            .port = &port_,
                            .host_loop = *host_loop_,
                            .gate = gate_,
                            .turn = turn_,
                            .counters = counters_}};
};

// A driver that adds a buffer for each that it takes would else send a
// notification for each packet.
TEST_P(ReceiveQueueTest, BuffersAreAwaitedOnlyWhilePacketsWaitForThem) {
  muxer_.deadline = 12345;
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_FALSE(queue_.Wait().buffers);
  EXPECT_TRUE(WaitsFor(muxer_.fd()));
  EXPECT_TRUE(WaitsFor(port_.fd()));
  EXPECT_EQ(queue_.Wait().deadline_ns, 12345);
  muxer_.to_guest = 1;
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_TRUE(queue_.Wait().buffers);
  EXPECT_TRUE(WaitsFor(muxer_.fd())) << "callers and timers go on";
  Offer(1);
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_FALSE(queue_.Wait().buffers);
  EXPECT_EQ(Collect(), (Counts{1, 0}));
}

TEST_P(ReceiveQueueTest, OtherProcessesReachTheGuestWhileTheQueueRuns) {
  queue_.QueueStopped();
  EXPECT_FALSE(port_.listens);
  queue_.QueueStarted(fixture_.queue());
  EXPECT_TRUE(port_.listens);
  queue_.QueueStopped();
  EXPECT_FALSE(port_.listens);
}

TEST_P(ReceiveQueueTest, StallsAreCountedOnceUntilTheyEnd) {
  muxer_.to_guest = 2;
  for (int i = 0; i < 3; ++i) (void)queue_.Drain(fixture_.queue());
  EXPECT_EQ(counters_.buffer_stalls.value(), 1u);
  Offer(2);
  (void)queue_.Drain(fixture_.queue());
  EXPECT_EQ(counters_.buffer_stalls.value(), 1u);
  muxer_.to_guest = 1;
  (void)queue_.Drain(fixture_.queue());
  EXPECT_EQ(counters_.buffer_stalls.value(), 2u);
}

// What the guest sent to other processes is flushed, also while it has no
// buffers itself. Packets that wait for these do not make the fd readable
// (firecracker PR#6031).
TEST_P(ReceiveQueueTest, PortIsPolledWhileItWaitsForBuffers) {
  port_.to_guest = 1;
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_TRUE(queue_.Wait().buffers);
  EXPECT_TRUE(WaitsFor(port_.fd()));
  Offer(1);
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(Collect(), (Counts{0, 1}));
  EXPECT_TRUE(WaitsFor(port_.fd()));
}

TEST_P(ReceiveQueueTest, OneDrainIsBounded) {
  Offer(60);
  muxer_.to_guest = 20;
  EXPECT_TRUE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(Collect(), (Counts{8, 0}));
  EXPECT_TRUE(queue_.Drain(fixture_.queue()));
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(Collect(), (Counts{12, 0}));
}

// Neither source keeps the other from the guest, however few buffers there are.
TEST_P(ReceiveQueueTest, SourcesTakeTurnsAtBeingFirst) {
  muxer_.to_guest = port_.to_guest = 1000;
  Counts sum = {};
  for (int i = 0; i < 20; ++i) {
    Offer(4);
    EXPECT_FALSE(queue_.Drain(fixture_.queue())) << "buffers are to be shown";
    EXPECT_TRUE(queue_.Wait().buffers);
    const Counts packets = Collect();
    for (int side : {0, 1}) sum[side] += packets[side];
  }
  EXPECT_EQ(sum, (Counts{40, 40}));
}

// Facts 3.9, 23 (firecracker PR#5882).
TEST_P(ReceiveQueueTest, NothingIsSentWhileTheGateIsClosed) {
  Offer(4);
  muxer_.to_guest = port_.to_guest = 1;
  gate_.Close();
  const int polls = muxer_.polls;
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(Collect(), (Counts{0, 0}));
  EXPECT_EQ(muxer_.polls, polls + 1) << "callers and timers go on";
  EXPECT_TRUE(WaitsFor(muxer_.fd()));
  EXPECT_FALSE(WaitsFor(port_.fd())) << "it would be readable for ever";
  EXPECT_FALSE(queue_.Wait().buffers);
  EXPECT_EQ(counters_.buffer_stalls.value(), 0u);
  gate_.Reset();
  EXPECT_FALSE(queue_.Drain(fixture_.queue()));
  EXPECT_EQ(Collect(), (Counts{1, 1}));
}

// Pause and resume: what waits is found by itself.
TEST_P(ReceiveQueueTest, StartedAgainItSendsWhatWaits) {
  muxer_.to_guest = 1;
  (void)queue_.Drain(fixture_.queue());
  queue_.QueueStopped();
  QueueFixture other(GetParam());
  ASSERT_TRUE(other.driver().Chain().Writable(100).Offer().has_value());
  queue_.QueueStarted(other.queue());
  EXPECT_FALSE(queue_.Drain(other.queue()));
  EXPECT_EQ(other.Collect().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Rings, ReceiveQueueTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

}  // namespace
}  // namespace annulus::virtio
