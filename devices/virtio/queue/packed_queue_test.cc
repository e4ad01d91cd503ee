#include "devices/virtio/queue/packed_queue.h"

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 5;  // Odd on purpose.
constexpr uint64_t kRamBytes = 0x100000;
constexpr uint64_t kTable = 0x9000;  // For indirect tables.
constexpr uint16_t kAvail = kPackedDescAvail;
constexpr uint16_t kUsed = kPackedDescUsed;
constexpr uint16_t kNext = kPackedDescNext;
constexpr uint16_t kWrite = kPackedDescWrite;
constexpr uint16_t kIndirect = kPackedDescIndirect;

class PackedQueueTest : public testing::Test {
 protected:
  PackedQueue Make(FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc),
                   uint16_t size = kSize) {
    features.Add(kFeatureRingPacked);
    return PackedQueue::Create(memory_, RawConfig(size, features)).value();
  }

  // What happens to a queue with the descriptors as they are in the ring.
  Violation ViolationOfFirst(
      FeatureSet features = FeatureSet::Of(kFeatureIndirectDesc)) {
    PackedQueue queue = Make(features);
    EXPECT_FALSE(queue.Pop(chain_));
    EXPECT_FALSE(chain_.pending());
    EXPECT_FALSE(queue.Pop(chain_)) << "a failed queue pops nothing";
    EXPECT_EQ(queue.ok(), queue.status().ok());
    return queue.violation();
  }

  // A legal buffer of one element at `slot` in the lap of wrap counter 1.
  void OfferOne(uint32_t slot, uint16_t id) {
    ring_.Packed(
        slot,
        {.addr = kRawBuffers, .len = 8, .id = id, .flags = kAvail | kWrite});
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog dirty_{kRamBytes};
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions(), &dirty_).value();
  RawRing ring_{memory_};
  DescriptorChain chain_{256};
};

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

// bad_inputs 19, 8.
TEST_F(PackedQueueTest, MisalignedAreaIsRefused) {
  QueueConfig config = RawConfig(kSize, {});
  config.descriptor = memory::GuestAddress(kRawDescriptors + 8);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
  config = RawConfig(kSize, {});
  config.driver = memory::GuestAddress(kRawDriverArea + 2);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
  config = RawConfig(kSize, {});
  config.device = memory::GuestAddress(kRawDeviceArea + 2);
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
}

TEST_F(PackedQueueTest, AreaThatIsNotWhollyInRamIsRefused) {
  for (const uint64_t address :
       {kRamBytes, uint64_t{0xd0000000}, UINT64_MAX - 15}) {
    QueueConfig config = RawConfig(kSize, {});
    config.descriptor = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.driver = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
    config = RawConfig(kSize, {});
    config.device = memory::GuestAddress(address);
    EXPECT_FALSE(PackedQueue::Create(memory_, config).ok()) << address;
  }
  QueueConfig config = RawConfig(kSize, {});
  config.descriptor = memory::GuestAddress(kRamBytes - 16 * (kSize - 1));
  EXPECT_FALSE(PackedQueue::Create(memory_, config).ok());
}

TEST_F(PackedQueueTest, ZeroedRingIsEmptyInBothLaps) {
  PackedQueue queue = Make({}, 1);
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_FALSE(queue.Pop(chain_));
  OfferOne(0, 0);
  ASSERT_TRUE(queue.Pop(chain_));
  ring_.Packed(0, {});
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_TRUE(queue.ok());
}

// bad_inputs 18.
TEST_F(PackedQueueTest, DescriptorWithBothOrNeitherWrapBitIsNotAvailable) {
  PackedQueue queue = Make();
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kUsed});
  EXPECT_FALSE(queue.Pop(chain_));
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kUsed});
  EXPECT_FALSE(queue.Pop(chain_)) << "that is the other lap's";
  EXPECT_TRUE(queue.ok());
}

TEST_F(PackedQueueTest, SecondLapExpectsTheInverseBits) {
  PackedQueue queue = Make({}, 1);
  OfferOne(0, 7);
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 8);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).flags, kAvail | kUsed | kWrite);
  OfferOne(0, 7);
  EXPECT_FALSE(queue.Pop(chain_)) << "the first lap's bits again";
  ring_.Packed(0, {.addr = kRawBuffers, .len = 8, .id = 9, .flags = kUsed});
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.id(), 9);
  queue.Push(chain_, 0);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).flags, 0);
}

// bad_inputs 15: ids are the driver's own.
TEST_F(PackedQueueTest, BufferIdIsEchoedWhateverItIs) {
  PackedQueue queue = Make();
  OfferOne(0, 0xffff);
  OfferOne(1, 0xffff);
  for (uint32_t slot = 0; slot < 2; ++slot) {
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 4);
    EXPECT_TRUE(queue.Publish());
    EXPECT_EQ(ring_.PackedAt(slot).id, 0xffff);
  }
  EXPECT_TRUE(queue.ok());
}

TEST_F(PackedQueueTest, BufferIdIsThatOfTheLastDescriptor) {
  ring_.Packed(
      0, {.addr = kRawBuffers, .len = 1, .id = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .id = 2, .flags = kAvail});
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.id(), 2);
}

// bad_inputs 15, 24.
TEST_F(PackedQueueTest, DescriptorMadeAvailableAgainBeforeUseFailsQueue) {
  PackedQueue queue = Make();
  std::vector<DescriptorChain> chains;
  for (uint16_t i = 0; i < kSize; ++i) {
    OfferOne(i, i);
    chains.emplace_back(kSize);
    ASSERT_TRUE(queue.Pop(chains.back()));
  }
  ring_.Packed(0, {.addr = kRawBuffers, .len = 8, .flags = kUsed});
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kTooManyInFlight);
}

TEST_F(PackedQueueTest, ChainThatReachesIntoDescriptorsInFlightFailsQueue) {
  PackedQueue queue = Make();
  OfferOne(0, 0);
  DescriptorChain held(kSize);
  ASSERT_TRUE(queue.Pop(held));
  for (uint16_t i = 1; i <= kSize; ++i) {
    ring_.Packed(
        i % kSize,
        {.addr = kRawBuffers,
         .len = 1,
         .flags = static_cast<uint16_t>(kNext | (i < kSize ? kAvail : kUsed))});
  }
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLong);
}

// bad_inputs 16.
TEST_F(PackedQueueTest, IndirectWithNextFailsQueue) {
  ring_.Packed(
      0, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect | kNext});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(PackedQueueTest, IndirectAtTheEndOfAListFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(PackedQueueTest, IndirectThatWasNotNegotiatedFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(FeatureSet()), Violation::kIndirectNotNegotiated);
}

TEST_F(PackedQueueTest, EmptyIndirectTableFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 0, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(PackedQueueTest, IndirectTableOfPartialDescriptorsFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 17, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(PackedQueueTest, IndirectTableLongerThanTheQueueFailsQueue) {
  ring_.Packed(
      0,
      {.addr = kTable, .len = 16 * (kSize + 1), .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(PackedQueueTest, IndirectTableOf4GibFailsQueue) {
  ring_.Packed(0, {.addr = 0, .len = 0xfffffff0, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(PackedQueueTest, IndirectTableOutsideRamFailsQueue) {
  ring_.Packed(
      0, {.addr = kRamBytes - 16, .len = 32, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
  ring_.Packed(
      0, {.addr = UINT64_MAX - 15, .len = 32, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
}

// "The VIRTQ_DESC_F_WRITE flags bit is the only valid flag for descriptors in
// the indirect table. Others are reserved and are ignored by the device. Buffer
// ID is also reserved and is ignored by the device." (§2.8.7)
TEST_F(PackedQueueTest, ReservedFieldsInAnIndirectTableAreIgnored) {
  ring_.Packed(0, {.addr = kTable,
                   .len = 32,
                   .id = 3,
                   .flags = kAvail | kIndirect | kWrite});
  ring_.Packed(0, {.addr = kRawBuffers, .len = 2, .id = 77, .flags = kIndirect},
               kTable);
  ring_.Packed(1,
               {.addr = kRawBuffers,
                .len = 4,
                .id = 78,
                .flags = kWrite | kNext | kUsed},
               kTable);
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.id(), 3);
  EXPECT_EQ(chain_.readable_bytes(), 2u);
  EXPECT_EQ(chain_.writable_bytes(), 4u);
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

// bad_inputs 17.
TEST_F(PackedQueueTest, WholeRingAsOneChainIsLegal) {
  for (uint16_t i = 0; i < kSize; ++i) {
    ring_.Packed(
        i,
        {.addr = kRawBuffers,
         .len = 1,
         .id = 4,
         .flags = static_cast<uint16_t>(kAvail | (i + 1 < kSize ? kNext : 0))});
  }
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.readable().size(), kSize);
  queue.Push(chain_, 0);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).flags, kAvail | kUsed);
  EXPECT_EQ(ring_.PackedAt(0).id, 4);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_TRUE(queue.ok());
}

TEST_F(PackedQueueTest, ChainLongerThanTheRingFailsQueue) {
  for (uint16_t i = 0; i < kSize; ++i) {
    ring_.Packed(i, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  }
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(PackedQueueTest, HeadMadeAvailableBeforeTheRestFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .flags = kUsed});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainIncomplete);
}

TEST_F(PackedQueueTest, ChainThatLinksToItselfInARingOfOneFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  PackedQueue queue = Make({}, 1);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLong);
}

// bad_inputs 21.
TEST_F(PackedQueueTest, ElementOutsideRamFailsQueue) {
  const PackedDescriptor bad[] = {
      {.addr = kRamBytes, .len = 1, .id = 0, .flags = kAvail},
      {.addr = kRamBytes - 1, .len = 2, .id = 0, .flags = kAvail},
      {.addr = 0xd0000000, .len = 4096, .id = 0, .flags = kAvail},
      {.addr = UINT64_MAX, .len = 2, .id = 0, .flags = kAvail},
      {.addr = 0, .len = 0xffffffff, .id = 0, .flags = kAvail},
  };
  for (const PackedDescriptor& descriptor : bad) {
    ring_.Packed(0, descriptor);
    EXPECT_EQ(ViolationOfFirst(), Violation::kElementOutsideRam)
        << descriptor.addr;
  }
}

// bad_inputs 20.
TEST_F(PackedQueueTest, ChainOfMoreThan32BitsOfBytesFailsQueue) {
  const memory::GuestRam big =
      memory::GuestRam::Create({.size = uint64_t{3} << 30}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(big.Regions()).value();
  const RawRing ring(memory);
  ring.Packed(0, {.addr = 0, .len = 0x80000000, .flags = kAvail | kNext});
  ring.Packed(1, {.addr = 0, .len = 0x80000000, .flags = kAvail | kWrite});
  PackedQueue queue = PackedQueue::Create(memory, RawConfig(kSize, {})).value();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLarge);
}

TEST_F(PackedQueueTest, ElementOfZeroBytesIsDroppedWhateverItsAddress) {
  ring_.Packed(0, {.addr = UINT64_MAX, .len = 0, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = UINT64_MAX, .len = 0, .flags = kAvail | kWrite});
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_TRUE(chain_.readable().empty());
  EXPECT_TRUE(chain_.writable().empty());
  queue.Push(chain_, 100);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).len, 0u);
}

// bad_inputs 22.
TEST_F(PackedQueueTest, ReadableAfterWritableFailsQueue) {
  ring_.Packed(
      0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kWrite | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .flags = kAvail});
  EXPECT_EQ(ViolationOfFirst(), Violation::kReadableAfterWritable);
}

// bad_inputs 23.
TEST_F(PackedQueueTest, DescriptorChangedAfterPopChangesNothing) {
  OfferOne(0, 6);
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  ring_.Packed(0, {.addr = 0, .len = 0xffffffff, .id = 9, .flags = 0xffff});
  EXPECT_EQ(chain_.writable().at(0).address.value(), kRawBuffers);
  queue.Push(chain_, 8);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).id, 6);
  EXPECT_EQ(ring_.PackedAt(0).len, 8u);
  EXPECT_EQ(ring_.PackedAt(0).flags, kAvail | kUsed | kWrite);
}

// bad_inputs 26.
TEST_F(PackedQueueTest, UsedLengthIsCutToTheWritableBytes) {
  OfferOne(0, 0);
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0xffffffff);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).len, 8u);
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

// bad_inputs 19.
TEST_F(PackedQueueTest, DriverEventFlagsDecideAboutNotifications) {
  struct Case {
    uint16_t desc;
    uint16_t flags;
    bool event_idx;
    bool notifies;
  };
  const Case cases[] = {
      {0, kRingEventFlagsEnable, true, true},
      {0, kRingEventFlagsDisable, true, false},
      {0, kRingEventFlagsDisable, false, false},
      {0x8000, kRingEventFlagsDesc, true, true},
      {0x8001, kRingEventFlagsDesc, true, false},         // The next one.
      {0x0000, kRingEventFlagsDesc, true, false},         // The next lap's.
      {0x8000 | kSize, kRingEventFlagsDesc, true, true},  // No descriptor.
      {0x7fff, kRingEventFlagsDesc, true, true},          // No descriptor.
      {0x8001, kRingEventFlagsDesc, false, true},         // Not negotiated.
      {0x8001, 3, true, true},                            // Reserved.
      {0, 0xfffc, true, true},                            // Reserved bits set.
      {0, 0xfffd, true, false},
  };
  for (const Case& c : cases) {
    FeatureSet features;
    if (c.event_idx) features.Add(kFeatureEventIdx);
    OfferOne(0, 0);
    PackedQueue queue = Make(features);
    ring_.DriverEvent(c.desc, c.flags);
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
    EXPECT_EQ(queue.Publish(), c.notifies)
        << c.desc << " " << c.flags << " " << c.event_idx;
    EXPECT_TRUE(queue.ok());
  }
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
