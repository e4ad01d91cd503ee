// Bad inputs 11 to 27 of a split ring; see the table in bad_inputs_test.cc.

#include <cstdint>
#include <vector>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/queue/split_queue_fixture.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

using BadInputSplitTest = SplitQueueFixture;

TEST_F(BadInputSplitTest,
       BadInputB11_AvailableIndexJumpsBeyondQueueSizeFailsQueue) {
  ring_.AvailableIndex(kSize + 1);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kAvailableIndexJumped);
}

TEST_F(BadInputSplitTest, BadInputB11_AvailableIndexThatGoesBackFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 4});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 0);
  ring_.AvailableIndex(0);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kAvailableIndexJumped);
}

TEST_F(BadInputSplitTest,
       BadInputB11D24_ChainsInFlightCountAgainstTheAvailableIndex) {
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

TEST_F(BadInputSplitTest, BadInputB12_HeadBeyondQueueSizeFailsQueue) {
  Offer(0, kSize);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kHeadOutOfRange);
}

TEST_F(BadInputSplitTest, BadInputB12_NextBeyondQueueSizeFailsQueue) {
  ring_.Split(0,
              {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = kSize});
  EXPECT_EQ(ViolationOfFirst(), Violation::kNextOutOfRange);
}

TEST_F(BadInputSplitTest, BadInputB12_NextBeyondTheIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 32, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 2},
              kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kNextOutOfRange);
}

TEST_F(BadInputSplitTest, BadInputB13_CircularChainFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 4, .flags = kNext, .next = 0});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputSplitTest, BadInputB13_DescriptorThatIsItsOwnNextFailsQueue) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 0, .flags = kNext, .next = 0});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputSplitTest, BadInputB13_ChainAsLongAsTheQueueIsLegal) {
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

TEST_F(BadInputSplitTest, BadInputB13_CircularIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  ring_.Split(0, {.addr = kRawBuffers, .len = 1, .flags = kNext, .next = 0},
              kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputSplitTest, BadInputC16_IndirectThatWasNotNegotiatedFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(FeatureSet()), Violation::kIndirectNotNegotiated);
}

TEST_F(BadInputSplitTest, BadInputC16_IndirectWithNextFailsQueue) {
  ring_.Split(
      0, {.addr = kTable, .len = 16, .flags = kIndirect | kNext, .next = 1});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(BadInputSplitTest, BadInputC16_NestedIndirectFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect});
  ring_.Split(0, {.addr = kTable, .len = 16, .flags = kIndirect}, kTable);
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectNested);
}

TEST_F(BadInputSplitTest, BadInputC16_EmptyIndirectTableFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 0, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(BadInputSplitTest,
       BadInputC16_IndirectTableOfPartialDescriptorsFailsQueue) {
  ring_.Split(0, {.addr = kTable, .len = 24, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(BadInputSplitTest, BadInputC16_IndirectTableOutsideRamFailsQueue) {
  ring_.Split(0, {.addr = kRamBytes - 16, .len = 32, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
}

TEST_F(BadInputSplitTest,
       BadInputC16D21_IndirectTableThatWrapsTheAddressSpaceFailsQueue) {
  ring_.Split(0,
              {.addr = UINT64_MAX - 15, .len = 0xfffffff0, .flags = kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableOutsideRam);
}

TEST_F(BadInputSplitTest, BadInputC16_DirectAndIndirectPartsShareTheBound) {
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

TEST_F(BadInputSplitTest, BadInputC20_ChainOfMoreThan32BitsOfBytesFailsQueue) {
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

TEST_F(BadInputSplitTest,
       BadInputC20_ElementOfZeroBytesIsDroppedWhateverItsAddress) {
  ring_.Split(0, {.addr = UINT64_MAX, .len = 0, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 3, .flags = kWrite});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  EXPECT_TRUE(chain_.readable().empty());
  EXPECT_EQ(chain_.writable().size(), 1u);
}

TEST_F(BadInputSplitTest, BadInputD21_ElementOutsideRamFailsQueue) {
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

TEST_F(BadInputSplitTest, BadInputD21_ElementAcrossTwoRegionsFailsQueue) {
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

TEST_F(BadInputSplitTest, BadInputD22_ReadableAfterWritableFailsQueue) {
  ring_.Split(
      0, {.addr = kRawBuffers, .len = 1, .flags = kWrite | kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 1});
  EXPECT_EQ(ViolationOfFirst(), Violation::kReadableAfterWritable);
}

TEST_F(BadInputSplitTest, BadInputD23_DescriptorChangedAfterPopChangesNothing) {
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

TEST_F(BadInputSplitTest, BadInputD26_UsedLengthIsCutToTheWritableBytes) {
  ring_.Split(0, {.addr = kRawBuffers, .len = 64, .flags = kNext, .next = 1});
  ring_.Split(1, {.addr = kRawBuffers, .len = 5, .flags = kWrite});
  Offer(0, 0);
  SplitQueue queue = Make();
  ASSERT_TRUE(queue.Pop(chain_));
  queue.Push(chain_, 1000);
  (void)queue.Publish();
  EXPECT_EQ(ring_.UsedEntry(0).len, 5u);
}

TEST_F(BadInputSplitTest, BadInputD27_FirstViolationWins) {
  Offer(0, kSize);
  SplitQueue queue = Make();
  EXPECT_FALSE(queue.Pop(chain_));
  ring_.AvailableIndex(1000);
  EXPECT_FALSE(queue.Pop(chain_));
  EXPECT_EQ(queue.violation(), Violation::kHeadOutOfRange);
  EXPECT_FALSE(queue.status().ok());
}

}  // namespace
}  // namespace annulus::virtio
