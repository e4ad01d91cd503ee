// Bad inputs 16: the indirect tables of a packed ring; see the table in
// bad_inputs_test.cc.

#include <cstdint>

#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/packed_queue_fixture.h"
#include "devices/virtio/queue/raw_ring.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using BadInputPackedTest = PackedQueueFixture;

TEST_F(BadInputPackedTest, BadInputC16_IndirectWithNextFailsQueue) {
  ring_.Packed(
      0, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect | kNext});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(BadInputPackedTest, BadInputC16_IndirectAtTheEndOfAListFailsQueue) {
  ring_.Packed(0, {.addr = kRawBuffers, .len = 1, .flags = kAvail | kNext});
  ring_.Packed(1, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectWithNext);
}

TEST_F(BadInputPackedTest, BadInputC16_IndirectThatWasNotNegotiatedFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 16, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(FeatureSet()), Violation::kIndirectNotNegotiated);
}

TEST_F(BadInputPackedTest, BadInputC16_EmptyIndirectTableFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 0, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(BadInputPackedTest,
       BadInputC16_IndirectTableOfPartialDescriptorsFailsQueue) {
  ring_.Packed(0, {.addr = kTable, .len = 17, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kIndirectTableLength);
}

TEST_F(BadInputPackedTest,
       BadInputC16_IndirectTableLongerThanTheQueueFailsQueue) {
  ring_.Packed(
      0,
      {.addr = kTable, .len = 16 * (kSize + 1), .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputPackedTest, BadInputC16_IndirectTableOf4GibFailsQueue) {
  ring_.Packed(0, {.addr = 0, .len = 0xfffffff0, .flags = kAvail | kIndirect});
  EXPECT_EQ(ViolationOfFirst(), Violation::kChainTooLong);
}

TEST_F(BadInputPackedTest, BadInputC16_IndirectTableOutsideRamFailsQueue) {
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
TEST_F(BadInputPackedTest,
       BadInputC16_NestedIndirectAndOtherReservedFieldsAreIgnored) {
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

}  // namespace
}  // namespace annulus::virtio
