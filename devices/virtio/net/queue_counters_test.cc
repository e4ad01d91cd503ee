#include "devices/virtio/net/queue_counters.h"

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(QueueCountersTest, BatchesAreCountedByTheirMagnitude) {
  QueueCounters counters;
  for (const uint32_t batch : {0u, 1u, 2u, 3u, 4u, 127u, 128u, 5000u}) {
    counters.CountBatch(batch);
  }
  const uint64_t expected[] = {1, 2, 1, 0, 0, 0, 1, 2};
  for (size_t i = 0; i < counters.batches.size(); ++i) {
    EXPECT_EQ(counters.batches[i].value(), expected[i]) << i;
  }
}

TEST(QueueCountersTest, DescriptionHasWhatThereIsToSay) {
  QueueCounters counters;
  counters.frames.Add(5);
  counters.bytes.Add(300);
  counters.interrupts.Add(1);
  counters.CountBatch(1);
  counters.CountBatch(4);
  counters.Drop(NetDrop::kFiltered);
  EXPECT_EQ(DescribeCounters(counters, 2),
            "frames=5 bytes=300 notifications=2 notifications_suppressed=0 "
            "interrupts=1 interrupts_suppressed=1 dropped_filtered=1 "
            "batches: 1+:1 4+:1");
}

TEST(QueueCountersTest, DescriptionHasWhatHeaderSplitDid) {
  QueueCounters counters;
  counters.split.split_packets.Add(1);
  counters.split.split_payload_bytes.Add(3);
  counters.split.header_queue_errors.Add(8);
  EXPECT_EQ(DescribeCounters(counters, 0),
            "frames=0 bytes=0 notifications=0 notifications_suppressed=0 "
            "interrupts=0 interrupts_suppressed=0 split_packets=1 "
            "split_payload_bytes=3 header_queue_errors=8");
  counters.split.split_header_bytes.Add(2);
  counters.split.unsplit_not_eligible.Add(4);
  counters.split.unsplit_header_too_big.Add(5);
  counters.split.unsplit_no_slot.Add(6);
  counters.split.unsplit_no_space.Add(7);
  counters.split.predicted.Add(9);
  counters.split.mispredicted.Add(10);
  counters.split.unpredicted.Add(11);
  EXPECT_EQ(DescribeCounters(counters, 0),
            "frames=0 bytes=0 notifications=0 notifications_suppressed=0 "
            "interrupts=0 interrupts_suppressed=0 split_packets=1 "
            "split_header_bytes=2 split_payload_bytes=3 "
            "unsplit_not_eligible=4 unsplit_header_too_big=5 "
            "unsplit_no_slot=6 unsplit_no_space=7 header_queue_errors=8 "
            "predicted=9 mispredicted=10 unpredicted=11");
}

}  // namespace
}  // namespace annulus::virtio
