// VIRTIO_F_IN_ORDER as the driver sees it (virtio 1.4 §2.7.9 and §2.8.8
// "In-order use of descriptors"), over both rings.

#include <cstdint>
#include <deque>
#include <optional>
#include <random>

#include "devices/virtio/driver/driver_test_ring.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class InOrderTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr uint16_t kSize = 8;
  static bool Packed() { return GetParam(); }

  uint16_t Offer(uint32_t bytes) {
    return driver_.Chain().Writable(bytes).Offer().value();
  }
  // EXPECTs the next used buffer.
  void ExpectUsed(uint16_t id, uint32_t len) {
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    ASSERT_TRUE(used.has_value()) << id;
    EXPECT_EQ(used->id, id);
    EXPECT_EQ(used->len, len) << id;
  }

  DriverTestRing ring_{
      {.packed = Packed(), .indirect = false, .in_order = true, .size = kSize}};
  FakeDriver& driver_ = ring_.driver;
};

TEST_P(InOrderTest, OneUsedElementStandsForTheBuffersBeforeIt) {
  const uint16_t ids[] = {Offer(8), Offer(16), Offer(32), Offer(64)};
  EXPECT_FALSE(driver_.GetUsed().has_value());
  ring_.Use(0, ids[2], 3);
  ring_.UsedIndex(3);
  EXPECT_TRUE(driver_.HasUsed());
  ExpectUsed(ids[0], 8);
  EXPECT_TRUE(driver_.HasUsed());
  ExpectUsed(ids[1], 16);
  ExpectUsed(ids[2], 3);
  EXPECT_FALSE(driver_.HasUsed());
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_EQ(driver_.free_descriptors(), kSize - 1u);
  // "the used descriptor for the next batch overwriting the first available
  // descriptor in the next batch" (§2.8.8); likewise §2.7.9.
  ring_.Use(3, ids[3], 5);
  ring_.UsedIndex(4);
  ExpectUsed(ids[3], 5);
  EXPECT_FALSE(driver_.broken());
}

TEST_P(InOrderTest, SkippedBufferWithNothingToWriteHasLengthZero) {
  const uint16_t readable = driver_.Chain().Readable("read").Offer().value();
  const uint16_t both =
      driver_.Chain().Readable("read").Writable(4).Writable(5).Offer().value();
  const uint16_t last = Offer(8);
  ring_.Use(0, last, 1);
  ring_.UsedIndex(3);
  ExpectUsed(readable, 0);
  ExpectUsed(both, 9);
  ExpectUsed(last, 1);
}

TEST_P(InOrderTest, UsedIdThatIsNotInFlightBreaksTheRing) {
  const uint16_t id = Offer(8);
  ring_.Use(0, static_cast<uint16_t>(id + 1), 3);
  ring_.UsedIndex(1);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(InOrderTest, UsedIdBeyondTheQueueSizeBreaksTheRing) {
  Offer(8);
  ring_.Use(0, kSize, 3);
  ring_.UsedIndex(1);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(InOrderTest, UsedIdOfABufferBeforeTheOldestBreaksTheRing) {
  const uint16_t ids[] = {Offer(8), Offer(8), Offer(8)};
  ring_.Use(0, ids[1], 3);
  ring_.UsedIndex(2);
  ExpectUsed(ids[0], 8);
  ExpectUsed(ids[1], 3);
  ring_.Use(2, ids[0], 3);
  ring_.UsedIndex(3);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(InOrderTest, DeviceThatUsesEachBufferByItselfIsUnderstood) {
  Virtqueue queue = Virtqueue::Create(ring_.memory, ring_.config()).value();
  DescriptorChain first(kSize);
  DescriptorChain second(kSize);
  for (int i = 0; i < 50; ++i) {
    SCOPED_TRACE(i);
    const uint16_t one =
        driver_.Chain().Readable("r").Writable(8).Offer().value();
    const uint16_t two = Offer(8);
    ASSERT_TRUE(queue.Pop(first));
    ASSERT_TRUE(queue.Pop(second));
    queue.Push(first, 2);
    queue.Push(second, 3);
    (void)queue.Publish();
    ExpectUsed(one, 2);
    ExpectUsed(two, 3);
  }
  EXPECT_EQ(driver_.free_descriptors(), kSize);
}

// Whatever the batches, and whatever the lengths of the buffers in them.
TEST_P(InOrderTest, AnyBatchesComeBackInOrder) {
  struct Offered {
    uint16_t id;
    uint16_t descriptors;
    uint32_t bytes;
  };
  std::mt19937 random(1);
  std::deque<Offered> in_flight;
  uint16_t slot = 0;  // Of the device's next used descriptor or element.
  uint16_t index = 0;
  bool wrap = true;
  for (int step = 0; step < 3000; ++step) {
    SCOPED_TRACE(step);
    const uint16_t elements = static_cast<uint16_t>(random() % 3 + 1);
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (uint16_t i = 0; i < elements; ++i) chain.Writable(4);
    if (driver_.free_descriptors() >= elements) {
      in_flight.push_back({.id = chain.Offer().value(),
                           .descriptors = elements,
                           .bytes = 4u * elements});
    }
    if (in_flight.empty() || random() % 2 == 0) continue;
    const size_t batch = random() % in_flight.size() + 1;
    ring_.Use(slot, in_flight[batch - 1].id, 1, wrap);
    index = static_cast<uint16_t>(index + batch);
    ring_.UsedIndex(index);
    for (size_t i = 0; i < batch; ++i) {
      const Offered& next = in_flight.front();
      ExpectUsed(next.id, i + 1 == batch ? 1 : next.bytes);
      slot = static_cast<uint16_t>(slot + (Packed() ? next.descriptors : 1));
      in_flight.pop_front();
    }
    ASSERT_FALSE(driver_.GetUsed().has_value());
    ASSERT_FALSE(driver_.broken());
    if (slot >= kSize) {
      slot = static_cast<uint16_t>(slot - kSize);
      wrap = !wrap;
    }
  }
}

// The used elements of a batch count as far as its last buffer.
TEST_P(InOrderTest, DelayedCallbackCountsSkippedBuffers) {
  uint16_t ids[kSize];
  for (uint16_t& id : ids) id = Offer(8);
  ring_.Use(0, ids[4], 8);
  ring_.UsedIndex(5);
  EXPECT_FALSE(driver_.EnableCallbacksDelayed());  // 5 of 8.
  ring_.Use(5, ids[5], 8);
  ring_.UsedIndex(6);
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());
  ExpectUsed(ids[0], 8);
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());  // 5 of the other 7.
  ExpectUsed(ids[1], 8);
  ExpectUsed(ids[2], 8);
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());  // 3 of 5.
  for (int i = 3; i < 6; ++i) ExpectUsed(ids[i], 8);
  EXPECT_FALSE(driver_.EnableCallbacksDelayed());
}

INSTANTIATE_TEST_SUITE_P(Rings, InOrderTest, testing::Bool());

// "The driver MUST set next to 0 for the last descriptor in the table [...] and
// to x + 1 for the rest of the descriptors." (§2.7.5.2)
TEST(SplitInOrderTest, DescriptorsAreUsedInRingOrder) {
  DriverTestRing ring(
      {.packed = false, .indirect = false, .in_order = true, .size = 4});
  ASSERT_EQ(ring.driver.Chain().Writable(1).Writable(2).Offer(), 0);
  ASSERT_EQ(ring.driver.Chain().Writable(3).Offer(), 2);
  EXPECT_EQ(ring.SplitAt(0).flags, kSplitDescWrite | kSplitDescNext);
  EXPECT_EQ(ring.SplitAt(0).next, 1);
  EXPECT_EQ(ring.SplitAt(1).flags, kSplitDescWrite);
  ring.Use(0, 2, 3);
  ring.UsedIndex(2);
  ASSERT_EQ(ring.driver.GetUsed()->id, 0);
  ASSERT_EQ(ring.driver.GetUsed()->id, 2);
  ASSERT_EQ(ring.driver.Chain().Writable(4).Writable(5).Writable(6).Offer(), 3);
  EXPECT_EQ(ring.SplitAt(3).next, 0);
  EXPECT_EQ(ring.SplitAt(3).flags, kSplitDescWrite | kSplitDescNext);
  EXPECT_EQ(ring.SplitAt(0).next, 1);
  EXPECT_EQ(ring.SplitAt(0).flags, kSplitDescWrite | kSplitDescNext);
  EXPECT_EQ(ring.SplitAt(1).flags, kSplitDescWrite);
  EXPECT_EQ(ring.driver.Chain().Writable(7).Offer(), 2);
}

// "Indirect descriptors MUST appear sequentially, with next taking the value of
// 1 for the 1st descriptor, 2 for the 2nd one, etc." (§2.7.5.3.1)
TEST(SplitInOrderTest, IndirectDescriptorsAreSequential) {
  DriverTestRing ring({.packed = false, .in_order = true, .size = 4});
  ASSERT_EQ(ring.driver.Chain().Readable("1").Readable("2").Writable(3).Offer(),
            0);
  ASSERT_EQ(ring.SplitAt(0).flags, kSplitDescIndirect);
  const uint64_t table = ring.SplitAt(0).addr;
  EXPECT_EQ(ring.Get16(table + 14), 1);
  EXPECT_EQ(ring.Get16(table + 16 + 14), 2);
  EXPECT_EQ(ring.Get16(table + 32 + 12), kSplitDescWrite);
}

TEST(SplitInOrderTest, ElementThatNamesABufferBeyondTheIndexBreaksTheRing) {
  DriverTestRing ring({.packed = false, .in_order = true, .size = 4});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  }
  ring.Use(0, 2, 8);
  ring.UsedIndex(2);
  EXPECT_TRUE(ring.driver.GetUsed().has_value());
  EXPECT_TRUE(ring.driver.GetUsed().has_value());
  EXPECT_FALSE(ring.driver.GetUsed().has_value());
  EXPECT_TRUE(ring.driver.broken());
}

}  // namespace
}  // namespace annulus::virtio
