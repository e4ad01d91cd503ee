#include "devices/virtio/queue/packed_queue.h"

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue_fixture.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using PackedQueueTest = PackedQueueFixture;

TEST_F(PackedQueueTest, AnySizeUpTo32768IsLegalAndNoOther) {
  QueueConfig config = RawConfig(1, FeatureSet::Of(kFeatureRingPacked));
  config.descriptor = memory::GuestAddress(0x10000);
  for (const uint16_t size : {1, 3, 255, 256, 32767, 32768}) {
    config.size = size;
    EXPECT_TRUE(PackedQueue::Create(memory_, config).ok()) << size;
  }
  for (const uint16_t size : {0, 32769, 65535}) {
    config.size = size;
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << size;
  }
}

TEST_F(PackedQueueTest, BufferIdIsThatOfTheLastDescriptor) {
  ring_.Packed(
      0, {.addr = kRawBuffers, .len = 1, .id = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .id = 2, .flags = kAvail});
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.id(), 2);
}

TEST_F(PackedQueueTest, IndirectTableNeedsNoAlignment) {
  const uint64_t table = kTable + 5;
  ring_.Packed(0, {.addr = table, .len = 16, .flags = kAvail | kIndirect});
  ring_.Packed(0, {.addr = kRawBuffers + 1, .len = 9, .flags = kWrite}, table);
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.writable().at(0).address.value(), kRawBuffers + 1);
  EXPECT_EQ(chain_.writable_bytes(), 9u);
}

// As DPDK's driver makes them: the frame's header comes first, and is marked.
TEST_F(PackedQueueTest, NothingInATableIsWritableWhereTheDeviceOnlyReads) {
  ring_.Packed(0, {.addr = kTable, .len = 32, .flags = kAvail | kIndirect});
  ring_.Packed(0, {.addr = kRawBuffers, .len = 12, .flags = kWrite}, kTable);
  ring_.Packed(1, {.addr = kRawBuffers + 64, .len = 60, .flags = 0}, kTable);
  PackedQueue strict = Make();
  ASSERT_FALSE(strict.Pop(chain_));
  EXPECT_EQ(strict.violation(), Violation::kReadableAfterWritable);
  PackedQueue queue = Make();
  queue.ReadOnly();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable().size(), 2u);
  EXPECT_EQ(chain_.readable_bytes(), 72u);
  EXPECT_EQ(chain_.writable_bytes(), 0u);
}

// A driver that reads in ring order sees nothing of a batch until its first
// flags are written, which is last.
TEST_F(PackedQueueTest, FirstFlagsOfABatchAreWrittenByPublish) {
  PackedQueue queue = Make();
  for (uint16_t i = 0; i < 3; ++i) OfferOne(i, i);
  for (uint16_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 8);
  }
  EXPECT_EQ(ring_.PackedAt(0).flags, kAvail | kWrite);
  EXPECT_TRUE(queue.Publish());
  for (uint16_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ring_.PackedAt(i).flags, kAvail | kUsed | kWrite) << i;
    EXPECT_EQ(ring_.PackedAt(i).id, i);
  }
  EXPECT_FALSE(queue.Publish()) << "nothing was pushed since";
}

// "The device MUST start writing device descriptors into the ring in the order
// in which they complete." (§2.8.12)
TEST_F(PackedQueueTest, UsedDescriptorsAreWrittenInTheOrderOfCompletion) {
  PackedQueue queue = Make();
  OfferOne(0, 10);
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(2, {.addr = kRawBuffers, .len = 1, .id = 11, .flags = kAvail});
  DescriptorChain first(kSize);
  DescriptorChain second(kSize);
  ASSERT_TRUE(queue.Pop(first));
  ASSERT_TRUE(queue.Pop(second));
  queue.Push(second, 0);
  queue.Push(first, 8);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).id, 11);
  EXPECT_EQ(ring_.PackedAt(2).id, 10) << "after the two of the list";
}

TEST_F(PackedQueueTest, BatchThatStepsOverTheEventDescriptorNotifies) {
  PackedQueue queue = Make(FeatureSet::Of(kFeatureEventIdx));
  ring_.DriverEvent(0x8001, kRingEventFlagsDesc);
  for (uint16_t i = 0; i < 3; ++i) OfferOne(i, i);
  for (uint16_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
  }
  EXPECT_TRUE(queue.Publish());
}

TEST_F(PackedQueueTest, EnablingReportsABufferThatCameBefore) {
  PackedQueue queue = Make();
  queue.DisableNotifications();
  EXPECT_EQ(ring_.DeviceEvent().flags, kRingEventFlagsDisable);
  EXPECT_FALSE(queue.EnableNotifications());
  EXPECT_EQ(ring_.DeviceEvent().flags, kRingEventFlagsEnable);
  queue.DisableNotifications();
  OfferOne(0, 0);
  EXPECT_TRUE(queue.EnableNotifications());
}

TEST_F(PackedQueueTest, WithEventIdxTheDeviceEventNamesTheNextDescriptor) {
  PackedQueue queue = Make(FeatureSet::Of(kFeatureEventIdx));
  for (uint16_t i = 0; i < kSize; ++i) {
    EXPECT_FALSE(queue.EnableNotifications());
    EXPECT_EQ(ring_.DeviceEvent().desc, 0x8000 | i);
    EXPECT_EQ(ring_.DeviceEvent().flags, kRingEventFlagsDesc);
    OfferOne(i, i);
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
    (void)queue.Publish();
  }
  EXPECT_FALSE(queue.EnableNotifications());
  EXPECT_EQ(ring_.DeviceEvent().desc, 0) << "the wrap counter flipped";
}

TEST_F(PackedQueueTest, WrittenBuffersAndTheRingAreMarkedDirty) {
  ring_.Packed(0, {.addr = 0x20000, .len = 0x2000, .flags = kAvail | kWrite});
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  (void)dirty_.Collect();
  queue.Push(chain_, 0x1001);
  (void)queue.Publish();
  EXPECT_EQ(dirty_.Collect(),
            (std::vector<uint64_t>{kRawDescriptors >> 12, 0x20, 0x21}));
  (void)queue.EnableNotifications();
  EXPECT_EQ(dirty_.Collect(), (std::vector<uint64_t>{kRawDeviceArea >> 12}));
}

}  // namespace
}  // namespace annulus::virtio
