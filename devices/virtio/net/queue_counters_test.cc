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

}  // namespace
}  // namespace annulus::virtio
