#include "devices/virtio/queue/split_queue.h"

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/split_queue_fixture.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using SplitQueueTest = SplitQueueFixture;

TEST_F(SplitQueueTest, SizeThatIsNoPowerOfTwoIsRefused) {
  for (const uint16_t size : {0, 3, 6, 255, 32769, 65535}) {
    EXPECT_FALSE(SplitQueue::Create(memory_, RawConfig(size, {})).ok()) << size;
  }
  EXPECT_TRUE(SplitQueue::Create(memory_, RawConfig(1, {})).ok());
}

TEST_F(SplitQueueTest, MisalignedAreaIsRefused) {
  QueueConfig config = RawConfig(kSize, {});
  config.descriptor = memory::GuestAddress(kRawDescriptors + 8);
  EXPECT_FALSE(SplitQueue::Create(memory_, config).ok());
  config = RawConfig(kSize, {});
  config.driver = memory::GuestAddress(kRawDriverArea + 1);
  EXPECT_FALSE(SplitQueue::Create(memory_, config).ok());
  config.driver = memory::GuestAddress(kRawDriverArea + 2);
  EXPECT_TRUE(SplitQueue::Create(memory_, config).ok());
  config.device = memory::GuestAddress(kRawDeviceArea + 2);
  EXPECT_FALSE(SplitQueue::Create(memory_, config).ok());
}

TEST_F(SplitQueueTest, AreaThatIsNotWhollyInRamIsRefused) {
  for (const uint64_t address :
       {kRamBytes, kRamBytes - 16, uint64_t{0xd0000000}, UINT64_MAX - 15}) {
    QueueConfig config = RawConfig(kSize, {});
    config.descriptor = memory::GuestAddress(address);
    EXPECT_FALSE(SplitQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.driver = memory::GuestAddress(address);
    EXPECT_FALSE(SplitQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.device = memory::GuestAddress(address);
    EXPECT_FALSE(SplitQueue::Create(memory_, config).ok()) << address;
  }
}

TEST_F(SplitQueueTest, EmptyQueuePopsNothingAndIsOk) {
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_TRUE(queue.ok());
  EXPECT_FALSE(queue.Publish());
}

// "The device MUST handle the case of zero or more normal chained descriptors
// followed by a single descriptor with flags&VIRTQ_DESC_F_INDIRECT." and "MUST
// ignore the write-only flag" there (§2.7.5.3.2).
TEST_F(SplitQueueTest, NormalDescriptorsFollowedByAnIndirectOneAreLegal) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 5});
  ring_.Split(5, {.addr = kTable, .len = 48, .flags = kIndirect | kWrite});
  ring_.Split(0, {.addr = kRawBuffers, .len = 2, .flags = kNext, .next = 2},
              kTable);
  ring_.Split(2, {.addr = kRawBuffers, .len = 4, .flags = kWrite}, kTable);
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable_bytes(), 3u);
  EXPECT_EQ(chain_.writable_bytes(), 4u);
}

TEST_F(SplitQueueTest, IndirectTableNeedsNoAlignment) {
  const uint64_t table = kTable + 3;
  ring_.Split(0, {.addr = table, .len = 32, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 7, .flags = kNext, .next = 1},
              table);
  ring_.Split(1, {.addr = kRawBuffers + 9, .len = 2, .flags = kWrite}, table);
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable_bytes(), 7u);
  EXPECT_EQ(chain_.writable().at(0).address.value(), kRawBuffers + 9);
}

TEST_F(SplitQueueTest, ChainStorageSmallerThanTheQueueFailsOnlyLongerChains) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 1});
  Offer(0, 1);
  Offer(1, 0);
  SplitQueue queue = Make();
  DescriptorChain small(1);
  ASSERT_TRUE(queue.Pop(small));
  queue.Push(small, 0);
  EXPECT_FALSE(queue.Pop(small));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLong);
}

TEST_F(SplitQueueTest, UsedBuffersAreSeenOnlyAfterPublish) {
  ring_.Split(3, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  Offer(0, 3);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 2);
  EXPECT_EQ(ring_.UsedIndex(), 0);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.UsedIndex(), 1);
  EXPECT_EQ(ring_.UsedEntry(0).id, 3u);
  EXPECT_EQ(ring_.UsedEntry(0).len, 2u);
}

// "If flags is 1, the device SHOULD NOT send a notification." (§2.7.7.2)
TEST_F(SplitQueueTest, NoInterruptFlagSuppressesNotifications) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  ring_.AvailableFlags(kAvailNoInterrupt);
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  EXPECT_FALSE(queue.Publish());
}

// "The device MUST ignore the lower bit of flags." (§2.7.7.2)
TEST_F(SplitQueueTest, FlagsAreIgnoredWithEventIdx) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  ring_.AvailableFlags(kAvailNoInterrupt);
  ring_.UsedEvent(kSize, 0);
  Offer(0, 0);
  SplitQueue queue = Make(FeatureSet::Of(kFeatureEventIdx));
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  EXPECT_TRUE(queue.Publish());
}

TEST_F(SplitQueueTest, BatchThatStepsOverTheUsedEventNotifies) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  ring_.UsedEvent(kSize, 1);
  ring_.AvailableIndex(4);
  SplitQueue queue = Make(FeatureSet::Of(kFeatureEventIdx));
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  EXPECT_FALSE(queue.Publish()) << "entry 0 is before the event";
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
  }
  EXPECT_TRUE(queue.Publish()) << "entries 1 to 3 hold the event";
  ring_.AvailableIndex(5);
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  EXPECT_FALSE(queue.Publish()) << "entry 4 is beyond the event";
}

TEST_F(SplitQueueTest, EnablingReportsABufferThatCameBefore) {
  SplitQueue queue = Make();
  queue.DisableNotifications();
  EXPECT_EQ(ring_.UsedFlags(), kUsedNoNotify);
  EXPECT_FALSE(queue.EnableNotifications());
  EXPECT_EQ(ring_.UsedFlags(), 0);
  queue.DisableNotifications();
  ring_.AvailableIndex(1);
  EXPECT_TRUE(queue.EnableNotifications());
}

// "if the VIRTIO_F_EVENT_IDX feature bit is negotiated: The device MUST set
// flags to 0" (§2.7.10.2)
TEST_F(SplitQueueTest, WithEventIdxAvailEventFollowsAndFlagsStayZero) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  ring_.AvailableIndex(3);
  SplitQueue queue = Make(FeatureSet::Of(kFeatureEventIdx));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
  }
  queue.DisableNotifications();
  EXPECT_EQ(ring_.UsedFlags(), 0);
  EXPECT_FALSE(queue.EnableNotifications());
  EXPECT_EQ(ring_.AvailEvent(kSize), 3);
  EXPECT_EQ(ring_.UsedFlags(), 0);
}

TEST_F(SplitQueueTest, WrittenBuffersAndTheUsedRingAreMarkedDirty) {
  ring_.Split(
      0, {.addr = 0x20000, .len = 0x2000, .flags = kNext | kWrite, .next = 1});
  ring_.Split(1, {.addr = 0x30000, .len = 0x2000, .flags = kWrite});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  (void)dirty_.Collect();
  queue.Push(chain_, 0x2001);
  (void)queue.Publish();
  EXPECT_EQ(dirty_.Collect(),
            (std::vector<uint64_t>{kRawDeviceArea >> 12, 0x20, 0x21, 0x30}));
}

}  // namespace
}  // namespace annulus::virtio
