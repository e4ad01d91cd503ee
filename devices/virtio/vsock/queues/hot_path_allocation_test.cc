// Packets are taken from and given to the driver without an allocation.

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/counting_allocator.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/queues/recording_muxer.h"
#include "devices/virtio/vsock/queues/rx_buffers.h"
#include "devices/virtio/vsock/queues/transmit_queue.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class VsockAllocationTest : public testing::TestWithParam<RingShape> {
 protected:
  QueueFixture fixture_{GetParam()};
  VsockCounters counters_;
};

TEST_P(VsockAllocationTest, NothingIsAllocatedPerPacketReceived) {
  for (const bool mergeable : {false, true}) {
    QueueFixture fixture(GetParam());
    RxBuffers buffers(64, counters_);
    buffers.Start(fixture.queue(), mergeable);
    const std::vector<uint8_t> payload(700, 'x');
    for (int round = 0; round < 100; ++round) {
      while (fixture.driver().Chain().Writable(20).Writable(400).Offer()) {
      }
      const int before = AllocationCount();
      EXPECT_TRUE(buffers.Put(RwHeader()));
      uint32_t packets = 0;
      EXPECT_EQ(buffers.Put(RwHeader(), payload, 100, packets), 700u);
      EXPECT_FALSE(buffers.Room(2000, 100).empty());
      EXPECT_NE(buffers.Commit(RwHeader(), 2000), 0u);
      (void)fixture.queue().Publish();
      ASSERT_EQ(AllocationCount(), before);
      EXPECT_FALSE(fixture.Collect().empty());
    }
  }
}

TEST_P(VsockAllocationTest, NothingIsAllocatedPerPacketTransmitted) {
  // Nobody there: what the queue itself does with a packet is all of it.
  RecordingMuxer muxer;
  const std::atomic<uint64_t> guest_cid{kGuestCid};
  Turn turn;
  VsockTransmitQueue queue(64, {.muxer = muxer,
                                .port = nullptr,
                                .guest_cid = guest_cid,
                                .turn = turn,
                                .counters = counters_});
  muxer.packets.reserve(10000);
  queue.QueueStarted(fixture_.queue());
  const std::string packet = WirePacket(RwHeader(), "");
  for (int round = 0; round < 100; ++round) {
    while (fixture_.driver()
               .Chain()
               .Readable(packet.substr(0, 20))
               .Readable(packet.substr(20))
               .Offer()) {
    }
    const int before = AllocationCount();
    while (queue.Drain(fixture_.queue())) (void)fixture_.queue().Publish();
    ASSERT_EQ(AllocationCount(), before);
    EXPECT_FALSE(fixture_.Collect().empty());
  }
  EXPECT_GE(muxer.packets.size(), 3200u);
}

INSTANTIATE_TEST_SUITE_P(Rings, VsockAllocationTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

}  // namespace
}  // namespace annulus::virtio
