#include "devices/virtio/queue/split_queue.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 8;
constexpr uint64_t kRamBytes = 0x40000;
constexpr uint64_t kTable = 0x9000;  // For indirect tables.
constexpr uint16_t kNext = kSplitDescNext;
constexpr uint16_t kWrite = kSplitDescWrite;
constexpr uint16_t kIndirect = kSplitDescIndirect;

class SplitQueueTest : public testing::Test {
 protected:
  SplitQueue Make(FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc),
                  uint16_t size = kSize) {
    return SplitQueue::Create(memory_, RawConfig(size, features)).value();
  }

  // Makes `head` available as the `index`-th buffer.
  void Offer(uint16_t index, uint16_t head) {
    ring_.AvailableEntry(index % kSize, head);
    ring_.AvailableIndex(index + 1);
  }

  // What happens to a queue whose first buffer has head 0.
  Violation ViolationOfFirst(
      FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc)) {
    Offer(0, 0);
    SplitQueue queue = Make(features);
    EXPECT_FALSE(queue.Pop(chain_));
    EXPECT_FALSE(chain_.pending());
    EXPECT_FALSE(queue.Pop(chain_)) << "a failed queue pops nothing";
    EXPECT_EQ(queue.ok(), queue.status().ok());
    return queue.violation();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog dirty_{kRamBytes};
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions(), &dirty_).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{kSize};
};

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

// bad_inputs 11.
TEST_F(SplitQueueTest, AvailableIndexBeyondQueueSizeFailsQueue) {
  ring_.AvailableIndex(kSize + 1);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kAvailableIndexJumped);
}

TEST_F(SplitQueueTest, AvailableIndexThatGoesBackFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 4});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  ring_.AvailableIndex(0);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kAvailableIndexJumped);
}

TEST_F(SplitQueueTest, ChainsInFlightCountAgainstTheAvailableIndex) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 4});
  SplitQueue queue = Make();
  ring_.AvailableIndex(kSize);
  std::vector<DescriptorChain> chains;
  for (int i = 0; i < kSize; ++i) {
    chains.emplace_back(kSize);
    ASSERT_TRUE(queue.Pop(chains.back()));
  }
  ring_.AvailableIndex(kSize + 1);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kAvailableIndexJumped);
}

// bad_inputs 12.
TEST_F(SplitQueueTest, HeadBeyondQueueSizeFailsQueue) {
  Offer(0, kSize);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kHeadOutOfRange);
}

TEST_F(SplitQueueTest, NextBeyondQueueSizeFailsQueue) {
  ring_.Split(0,
              {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = kSize});
  EXPECT_EQ(ViolationOfFirst(), Violation::kNextOutOfRange);
}

// bad_inputs 13.
TEST_F(SplitQueueTest, CircularChainFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = 0});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(SplitQueueTest, DescriptorThatIsItsOwnNextFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 0, .flags = kNext, .next = 0});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(SplitQueueTest, ChainAsLongAsTheQueueIsLegal) {
  for (uint16_t i = 0; i < kSize; ++i) {
    ring_.Split(i, {.addr = kRawBuffers + i,
                    .len = 1,
                    .flags = static_cast<uint16_t>(i + 1 < kSize ? kNext : 0),
                    .next = static_cast<uint16_t>(i + 1)});
  }
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable().size(), kSize);
  EXPECT_EQ(chain_.readable_bytes(), kSize);
}

// bad_inputs 16.
TEST_F(SplitQueueTest, IndirectThatWasNotNegotiatedFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(FeatureSet()), Violation::kIndirectNotNegotiated);
}

TEST_F(SplitQueueTest, IndirectWithNextFailsQueue) {
  ring_.Split(
      0, {.addr = kTable, .len = 16, .flags = kIndirect | kNext, .next = 1});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(SplitQueueTest, NestedIndirectFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect}, kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectNested);
}

TEST_F(SplitQueueTest, EmptyIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 0, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(SplitQueueTest, IndirectTableOfPartialDescriptorsFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 24, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(SplitQueueTest, IndirectTableOutsideRamFailsQueue) {
  ring_.Split(0, {.addr = kRamBytes - 16, .len = 32, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
}

TEST_F(SplitQueueTest, IndirectTableThatWrapsTheAddressSpaceFailsQueue) {
  ring_.Split(0,
              {.addr = UINT64_MAX - 15, .len = 0xfffffff0, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
}

TEST_F(SplitQueueTest, NextBeyondTheIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 32, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 2},
              kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kNextOutOfRange);
}

TEST_F(SplitQueueTest, CircularIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 0},
              kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
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

TEST_F(SplitQueueTest, DirectAndIndirectPartsShareTheBound) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kTable, .len = 16 * kSize, .flags = kIndirect});
  for (uint16_t i = 0; i < kSize; ++i) {
    ring_.Split(i,
                {.addr = kRawBuffers,
                 .len = 1,
                 .flags = static_cast<uint16_t>(i + 1 < kSize ? kNext : 0),
                 .next = static_cast<uint16_t>(i + 1)},
                kTable);
  }
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

// bad_inputs 21.
TEST_F(SplitQueueTest, ElementOutsideRamFailsQueue) {
  const SplitDescriptor bad[] = {
      {.addr = kRamBytes, .len = 1},
      {.addr = kRamBytes - 1, .len = 2},
      {.addr = 0xd0000000, .len = 4096},
      {.addr = UINT64_MAX, .len = 2},
      {.addr = 0, .len = 0xffffffff},
      {.addr = UINT64_MAX - 0xfffffffe, .len = 0xffffffff},
  };
  for (const SplitDescriptor& descriptor : bad) {
    ring_.Split(0, descriptor);
    EXPECT_EQ(ViolationOfFirst(), Violation::kElementOutsideRam)
        << descriptor.addr;
  }
}

TEST_F(SplitQueueTest, ElementAcrossTwoRegionsFailsQueue) {
  std::vector<memory::GuestRegion> regions = ram_.Regions();
  memory::GuestRegion upper = regions[0];
  regions[0].size = kRamBytes / 2;
  upper.start = memory::GuestAddress(kRamBytes / 2);
  upper.size = kRamBytes / 2;
  upper.host += kRamBytes / 2;
  regions.push_back(upper);
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(regions).value();
  ring_.Split(0, {.addr = kRamBytes / 2 - 1, .len = 2});
  Offer(0, 0);
  SplitQueue queue = SplitQueue::Create(memory, RawConfig(kSize, {})).value();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kElementOutsideRam);
}

// bad_inputs 20.
TEST_F(SplitQueueTest, ChainOfMoreThan32BitsOfBytesFailsQueue) {
  const memory::GuestRam big =
      memory::GuestRam::Create({.size = uint64_t{3} << 30}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(big.Regions()).value();
  const RawRing ring(memory);
  const uint32_t half = 0x80000000;
  ring.Split(0, {.addr = 0, .len = half, .flags = kNext, .next = 1});
  ring.Split(1, {.addr = 0, .len = half - 1, .flags = kWrite});
  ring.AvailableIndex(1);
  SplitQueue legal = SplitQueue::Create(memory, RawConfig(kSize, {})).value();
  ASSERT_TRUE(legal.Pop(chain_));
  EXPECT_EQ(uint64_t{chain_.readable_bytes()} + chain_.writable_bytes(),
            0xffffffffu);
  legal.Push(chain_, 0);

  ring.Split(1, {.addr = 0, .len = half, .flags = kWrite});
  SplitQueue queue = SplitQueue::Create(memory, RawConfig(kSize, {})).value();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLarge);
}

TEST_F(SplitQueueTest, ElementOfZeroBytesIsDroppedWhateverItsAddress) {
  ring_.Split(0, {.addr = UINT64_MAX, .len = 0, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 3, .flags = kWrite});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_TRUE(chain_.readable().empty());
  EXPECT_EQ(chain_.writable().size(), 1u);
}

// bad_inputs 22.
TEST_F(SplitQueueTest, ReadableAfterWritableFailsQueue) {
  ring_.Split(
      0, {.addr = kRawBuffers, .len = 1, .flags = kWrite | kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 1});
  EXPECT_EQ(ViolationOfFirst(), Violation::kReadableAfterWritable);
}

// bad_inputs 23.
TEST_F(SplitQueueTest, DescriptorChangedAfterPopChangesNothing) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 8, .flags = kWrite}, kTable);
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  ring_.Split(0, {.addr = 0, .len = 0xffffffff});
  ring_.Split(0, {.addr = 0, .len = 0xffffffff}, kTable);
  ring_.AvailableEntry(0, 7);
  EXPECT_EQ(chain_.writable().at(0).address.value(), kRawBuffers);
  EXPECT_EQ(chain_.writable_bytes(), 8u);
  queue.Push(chain_, 8);
  (void)queue.Publish();
  EXPECT_EQ(ring_.UsedEntry(0).id, 0u);
  EXPECT_EQ(ring_.UsedEntry(0).len, 8u);
}

// bad_inputs 26: "used len > written leaks host memory".
TEST_F(SplitQueueTest, UsedLengthIsCutToTheWritableBytes) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 64, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 1000);
  (void)queue.Publish();
  EXPECT_EQ(ring_.UsedEntry(0).len, 5u);
}

TEST_F(SplitQueueTest, FirstViolationWins) {
  Offer(0, kSize);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  ring_.AvailableIndex(1000);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kHeadOutOfRange);
  EXPECT_FALSE(queue.status().ok());
}

TEST_F(SplitQueueTest, ChainsPoppedBeforeAViolationCanStillBeUsed) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  Offer(0, 0);
  Offer(1, kSize);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  DescriptorChain other(kSize);
  EXPECT_FALSE(queue.Pop(other));
  queue.Push(chain_, 5);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.UsedIndex(), 1);
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
