#include "devices/virtio/queue/event_suppression.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(EventIndexPassedTest, EventInsideTheBatchNotifies) {
  EXPECT_TRUE(EventIndexPassed(/*event=*/5, /*new=*/6, /*old=*/5));
  EXPECT_TRUE(EventIndexPassed(5, 9, 3));
  EXPECT_TRUE(EventIndexPassed(8, 9, 3));
  EXPECT_TRUE(EventIndexPassed(3, 9, 3));
}

TEST(EventIndexPassedTest, EventOutsideTheBatchDoesNot) {
  EXPECT_FALSE(EventIndexPassed(9, 9, 3));   // The next one to come.
  EXPECT_FALSE(EventIndexPassed(2, 9, 3));   // Before the batch.
  EXPECT_FALSE(EventIndexPassed(40, 9, 3));  // Far ahead.
}

TEST(EventIndexPassedTest, EmptyBatchNeverNotifies) {
  for (uint32_t event = 0; event < 65536; ++event) {
    EXPECT_FALSE(EventIndexPassed(static_cast<uint16_t>(event), 7, 7));
  }
}

TEST(EventIndexPassedTest, IndicesWrapAtSixteenBits) {
  EXPECT_TRUE(EventIndexPassed(65535, 1, 65534));
  EXPECT_TRUE(EventIndexPassed(0, 1, 65534));
  EXPECT_FALSE(EventIndexPassed(1, 1, 65534));
  EXPECT_FALSE(EventIndexPassed(65533, 1, 65534));
}

TEST(PackedPositionTest, WrapCounterFlipsAtTheEndOfTheRing) {
  PackedPosition position;
  EXPECT_EQ(position.ToEventDesc(), 0x8000);
  position.Advance(6, 7);
  EXPECT_EQ(position.ToEventDesc(), 0x8006);
  position.Advance(1, 7);
  EXPECT_EQ(position.ToEventDesc(), 0x0000);
  position.Advance(7, 7);
  EXPECT_EQ(position.ToEventDesc(), 0x8000);
  position.Advance(32768, 32768);
  EXPECT_EQ(position.ToEventDesc(), 0x0000);
}

// The test by ranges against the definition: is the event's descriptor, with
// its wrap counter, one of those written?
TEST(PackedEventPassedTest, AgreesWithTheDefinitionForAllBatchesOfSmallRings) {
  for (uint32_t size = 1; size <= 9; ++size) {
    for (uint32_t start = 0; start < 2 * size; ++start) {
      for (uint32_t count = 0; count <= size; ++count) {
        const auto position = [&](uint32_t linear) {
          PackedPosition p;
          p.wrap = (linear / size) % 2 == 0;
          p.offset = static_cast<uint16_t>(linear % size);
          return p;
        };
        for (uint32_t event = 0; event < 2 * size; ++event) {
          const uint16_t desc = position(event).ToEventDesc();
          bool expected = false;
          for (uint32_t i = start; i < start + count; ++i) {
            if (position(i).ToEventDesc() == desc) expected = true;
          }
          EXPECT_EQ(
              PackedEventPassed(desc, position(start + count), count, size),
              expected)
              << "size " << size << " start " << start << " count " << count
              << " event " << event;
        }
      }
    }
  }
}

TEST(PackedEventPassedTest, GreatestRingWorks) {
  const PackedPosition end = {.offset = 0, .wrap = false};
  EXPECT_TRUE(PackedEventPassed(0xffff, end, 1, 32768));
  EXPECT_FALSE(PackedEventPassed(0xfffe, end, 1, 32768));
  EXPECT_TRUE(PackedEventPassed(0x8000, end, 32768, 32768));
  EXPECT_FALSE(PackedEventPassed(0x0000, end, 32768, 32768));
}

TEST(PackedEventPassedTest, OffsetThatNoDescriptorHasNotifies) {
  const PackedPosition end = {.offset = 1, .wrap = true};
  EXPECT_TRUE(PackedEventPassed(0x8000 | 4, end, 1, 4));
  EXPECT_TRUE(PackedEventPassed(0x7fff, end, 1, 4));
  EXPECT_FALSE(PackedEventPassed(0x7fff, end, 0, 4));
}

}  // namespace
}  // namespace annulus::virtio
