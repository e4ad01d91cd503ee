// VIRTIO_F_IN_ORDER, device side: what is in ring memory when one used entry
// stands for several buffers (virtio 1.4 §2.7.9 and §2.8.8 "In-order use of
// descriptors").

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kAvailUsed = kPackedDescAvail | kPackedDescUsed;

class InOrderTest : public testing::Test {
 protected:
  static constexpr uint16_t kSize = 4;

  // Pops and pushes one chain.
  template <typename Queue>
  void Serve(Queue& queue, uint32_t written = 0) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, written);
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{kSize};
};

class PackedInOrderTest : public InOrderTest {
 protected:
  // A buffer of one descriptor; `wrap` as the driver's counter.
  void Offer(uint32_t slot, uint16_t id, uint16_t kind, bool wrap = true) {
    const uint16_t flags = wrap ? kPackedDescAvail : kPackedDescUsed;
    ring_.Packed(slot, {.addr = kRawBuffers,
                        .len = 8,
                        .id = id,
                        .flags = static_cast<uint16_t>(flags | kind)});
  }
  static bool IsUsed(const PackedDescriptor& descriptor, bool wrap = true) {
    return (descriptor.flags & kAvailUsed) == (wrap ? kAvailUsed : 0);
  }

  PackedQueue queue_ =
      PackedQueue::Create(
          memory_,
          RawConfig(kSize, FeatureSet::Of(kFeatureRingPacked, kFeatureInOrder)))
          .value();
};

TEST_F(PackedInOrderTest, OneUsedDescriptorStandsForABatch) {
  for (uint16_t i = 0; i < 3; ++i) Offer(i, 10 + i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue_);
  EXPECT_FALSE(IsUsed(ring_.PackedAt(0))) << "before it is published";
  (void)queue_.Publish();
  EXPECT_TRUE(IsUsed(ring_.PackedAt(0)));
  EXPECT_EQ(ring_.PackedAt(0).id, 12) << "the last buffer's";
  EXPECT_EQ(ring_.PackedAt(0).len, 0u);
  EXPECT_EQ(ring_.PackedAt(1).flags, kPackedDescAvail) << "not written";
  EXPECT_EQ(ring_.PackedAt(2).flags, kPackedDescAvail) << "not written";
}

TEST_F(PackedInOrderTest, NextBatchStartsAfterTheSkippedDescriptors) {
  for (uint16_t i = 0; i < 4; ++i) Offer(i, i, 0);
  Serve(queue_);
  Serve(queue_);
  (void)queue_.Publish();
  Serve(queue_);
  Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.PackedAt(0).id, 1);
  EXPECT_TRUE(IsUsed(ring_.PackedAt(2)));
  EXPECT_EQ(ring_.PackedAt(2).id, 3);
}

TEST_F(PackedInOrderTest, WritableBuffersHaveAUsedDescriptorWithTheirLength) {
  Offer(0, 0, 0);
  Offer(1, 1, kPackedDescWrite);
  Offer(2, 2, kPackedDescWrite);
  Offer(3, 3, 0);
  Serve(queue_);
  Serve(queue_, 5);
  Serve(queue_, 8);
  Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.PackedAt(0).id, 1) << "stands for the first as well";
  EXPECT_EQ(ring_.PackedAt(0).len, 5u);
  EXPECT_EQ(ring_.PackedAt(0).flags, kAvailUsed | kPackedDescWrite);
  EXPECT_FALSE(IsUsed(ring_.PackedAt(1)));
  EXPECT_EQ(ring_.PackedAt(2).id, 2);
  EXPECT_EQ(ring_.PackedAt(2).len, 8u);
  EXPECT_EQ(ring_.PackedAt(3).id, 3);
  EXPECT_TRUE(IsUsed(ring_.PackedAt(3)));
}

TEST_F(PackedInOrderTest, BatchAcrossTheEndHasTheWrapCounterOfItsStart) {
  for (uint16_t i = 0; i < 3; ++i) Offer(i, i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue_);
  (void)queue_.Publish();
  Offer(3, 7, 0);
  Offer(0, 8, 0, /*wrap=*/false);
  Serve(queue_);
  Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.PackedAt(3).id, 8);
  EXPECT_TRUE(IsUsed(ring_.PackedAt(3), true));
  EXPECT_FALSE(IsUsed(ring_.PackedAt(0), false)) << "skipped";
  Offer(1, 9, 0, /*wrap=*/false);
  Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.PackedAt(1).id, 9);
  EXPECT_TRUE(IsUsed(ring_.PackedAt(1), false));
}

TEST_F(PackedInOrderTest, EventIndexInsideASkippedRunNotifies) {
  QueueConfig config = RawConfig(
      kSize,
      FeatureSet::Of(kFeatureRingPacked, kFeatureInOrder, kFeatureEventIdx));
  PackedQueue queue = PackedQueue::Create(memory_, config).value();
  ring_.DriverEvent(kPackedEventWrap | 1, kRingEventFlagsDesc);
  for (uint16_t i = 0; i < 3; ++i) Offer(i, i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue);
  EXPECT_TRUE(queue.Publish());
}

class SplitInOrderTest : public InOrderTest {
 protected:
  void Offer(uint16_t index, uint16_t flags) {
    ring_.Split(index % kSize, {.addr = kRawBuffers, .len = 8, .flags = flags});
    ring_.AvailableEntry(index % kSize, index % kSize);
    ring_.AvailableIndex(static_cast<uint16_t>(index + 1));
  }

  SplitQueue queue_ =
      SplitQueue::Create(memory_,
                         RawConfig(kSize, FeatureSet::Of(kFeatureInOrder)))
          .value();
};

TEST_F(SplitInOrderTest, OneUsedEntryStandsForABatch) {
  for (uint16_t i = 0; i < 3; ++i) Offer(i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.UsedIndex(), 3) << "moves on by the size of the batch";
  EXPECT_EQ(ring_.UsedEntry(0).id, 2u) << "the last buffer's head";
  EXPECT_EQ(ring_.UsedEntry(0).len, 0u);
  EXPECT_EQ(ring_.UsedEntry(1).id, 0u) << "not written";
  EXPECT_EQ(ring_.UsedEntry(2).id, 0u) << "not written";
}

TEST_F(SplitInOrderTest, NextBatchStartsAfterTheSkippedEntriesAndWraps) {
  for (uint16_t i = 0; i < 3; ++i) Offer(i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue_);
  (void)queue_.Publish();
  for (uint16_t i = 3; i < 6; ++i) Offer(i, 0);
  for (int i = 0; i < 3; ++i) Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.UsedIndex(), 6);
  EXPECT_EQ(ring_.UsedEntry(3).id, 1u);
  EXPECT_EQ(ring_.UsedEntry(0).id, 2u) << "of the first batch still";
}

TEST_F(SplitInOrderTest, WritableBuffersHaveAUsedEntryWithTheirLength) {
  Offer(0, 0);
  Offer(1, kSplitDescWrite);
  Offer(2, 0);
  Serve(queue_);
  Serve(queue_, 5);
  Serve(queue_);
  (void)queue_.Publish();
  EXPECT_EQ(ring_.UsedIndex(), 3);
  EXPECT_EQ(ring_.UsedEntry(0).id, 1u) << "stands for the first as well";
  EXPECT_EQ(ring_.UsedEntry(0).len, 5u);
  EXPECT_EQ(ring_.UsedEntry(2).id, 2u);
}

}  // namespace
}  // namespace annulus::virtio
