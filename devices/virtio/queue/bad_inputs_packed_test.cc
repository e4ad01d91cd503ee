// Bad inputs 11 to 27 of a packed ring; see the table in bad_inputs_test.cc.
// Those of indirect tables (16) and of the areas (19) have files of their own.

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/packed_queue_fixture.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

using BadInputPackedTest = PackedQueueFixture;

TEST_F(BadInputPackedTest, BadInputC15_BufferIdOutOfRangeOrTwiceIsEchoed) {
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

TEST_F(BadInputPackedTest,
       BadInputC15D24_DescriptorMadeAvailableAgainBeforeUseFailsQueue) {
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

TEST_F(BadInputPackedTest,
       BadInputC15D24_ChainThatReachesIntoDescriptorsInFlightFailsQueue) {
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

TEST_F(BadInputPackedTest, BadInputC17_WholeRingAsOneChainIsLegal) {
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

TEST_F(BadInputPackedTest, BadInputC17_ChainLongerThanTheRingFailsQueue) {
  for (uint16_t i = 0; i < kSize; ++i) {
    ring_.Packed(i, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  }
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputPackedTest, BadInputC17_ChainAcrossTheEndIsLegal) {
  PackedQueue queue = Make();
  for (uint16_t i = 0; i + 1 < kSize; ++i) {
    OfferOne(i, i);
    ASSERT_TRUE(queue.Pop(chain_));
    queue.Push(chain_, 0);
  }
  EXPECT_TRUE(queue.Publish());
  ring_.Packed(kSize - 1,
               {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(0, {.addr = kRawBuffers, .len = 2, .flags = kUsed | kNext});
  ring_.Packed(
      1, {.addr = kRawBuffers, .len = 4, .id = 9, .flags = kUsed | kWrite});
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_EQ(chain_.id(), 9);
  EXPECT_EQ(chain_.readable_bytes(), 3u);
  EXPECT_EQ(chain_.writable_bytes(), 4u);
  queue.Push(chain_, 0);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(kSize - 1).flags, kAvail | kUsed);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_TRUE(queue.ok());
}

TEST_F(BadInputPackedTest,
       BadInputC17_HeadMadeAvailableBeforeTheRestFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .flags = kUsed});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainIncomplete);
}

TEST_F(BadInputPackedTest,
       BadInputC17C18_ChainThatLinksToItselfInARingOfOneFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  PackedQueue queue = Make({}, 1);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kChainTooLong);
}

TEST_F(BadInputPackedTest, BadInputC18_ZeroedRingIsEmptyInBothLaps) {
  PackedQueue queue = Make({}, 1);
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_FALSE(queue.Pop(chain_));
  OfferOne(0, 0);
  ASSERT_TRUE(queue.Pop(chain_));
  ring_.Packed(0, {});
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_TRUE(queue.ok());
}

TEST_F(BadInputPackedTest,
       BadInputC18_DescriptorWithBothOrNeitherWrapBitIsNotAvailable) {
  PackedQueue queue = Make();
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kUsed});
  EXPECT_FALSE(queue.Pop(chain_));
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kUsed});
  EXPECT_FALSE(queue.Pop(chain_)) << "that is the other lap's";
  EXPECT_TRUE(queue.ok());
}

TEST_F(BadInputPackedTest,
       BadInputC18_SecondLapOfARingOfOneExpectsTheInverseBits) {
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

TEST_F(BadInputPackedTest, BadInputC20_ChainOfMoreThan32BitsOfBytesFailsQueue) {
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

TEST_F(BadInputPackedTest,
       BadInputC20_ElementOfZeroBytesIsDroppedWhateverItsAddress) {
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

TEST_F(BadInputPackedTest, BadInputD21_ElementOutsideRamFailsQueue) {
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

TEST_F(BadInputPackedTest, BadInputD22_ReadableAfterWritableFailsQueue) {
  ring_.Packed(
      0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kWrite | kNext});
  ring_.Packed(1, {.addr = kRawBuffers, .len = 1, .flags = kAvail});
  EXPECT_EQ(ViolationOfFirst(), Violation::kReadableAfterWritable);
}

TEST_F(BadInputPackedTest,
       BadInputD23_DescriptorChangedAfterPopChangesNothing) {
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

TEST_F(BadInputPackedTest, BadInputD26_UsedLengthIsCutToTheWritableBytes) {
  OfferOne(0, 0);
  PackedQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0xffffffff);
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(ring_.PackedAt(0).len, 8u);
}

}  // namespace
}  // namespace annulus::virtio
