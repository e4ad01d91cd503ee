// Neither side of the proposed ring believes the other.

#include <cstdint>

#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/violation.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "tests/bench/proposal_queue.h"
#include "tests/bench/proposal_ring.h"
#include "tests/bench/proposal_ring_fixture.h"

namespace annulus::bench {
namespace {

using virtio::Violation;
using Ring = ProposalTestRing;

TEST(ProposalBadInputsTest, UsedIndexThatIsNotInFlightBreaksTheDriver) {
  for (const uint16_t index : {1, 4, 0xffff}) {
    Ring ring({.size = 4});
    ASSERT_EQ(ring.AddWritable(8), 0);
    ring.At(0).word = ProposalWord(8, static_cast<uint16_t>(index), 0);
    uint16_t got = 0;
    uint32_t len = 0;
    EXPECT_FALSE(ring.driver.GetUsed(&got, &len));
    EXPECT_TRUE(ring.driver.broken());
  }
}

TEST(ProposalBadInputsTest, WrittenIsCutToWhatTheBufferHolds) {
  Ring ring({.size = 4});
  const uint16_t index = ring.AddWritable(8);
  ring.UseOne(1000);
  ring.ExpectUsed(index, 8);
}

// The rules of the real rings.
TEST(ProposalBadInputsTest, ViolationsFailTheQueue) {
  constexpr uint16_t kHwNext = kProposalHw | kProposalNext;
  {
    Ring ring({});
    ring.At(0) = {.addr = Ring::kBuffers, .word = ProposalWord(8, 0, kHwNext)};
    ring.ExpectViolation(Violation::kChainIncomplete);
    EXPECT_FALSE(ring.queue.Pop(ring.chain));
  }
  {
    Ring ring({});
    for (uint16_t i = 0; i < 4; ++i) {
      ring.At(i) = {.addr = Ring::kBuffers,
                    .word = ProposalWord(8, 0, kHwNext)};
    }
    ring.ExpectViolation(Violation::kChainTooLong);
  }
  {
    Ring ring({});
    ring.At(0) = {.addr = Ring::kRamBytes - 4,
                  .word = ProposalWord(8, 0, kProposalHw)};
    ring.ExpectViolation(Violation::kElementOutsideRam);
  }
  {
    Ring ring({});
    ring.At(0) = {.addr = ~uint64_t{0},
                  .word = ProposalWord(8, 0, kProposalHw)};
    ring.ExpectViolation(Violation::kElementOutsideRam);
  }
  {
    // The offset takes no element out of RAM, nor brings one into it.
    Ring ring({.offset = 8});
    ring.At(0) = {.addr = ~uint64_t{0} - 7,
                  .word = ProposalWord(
                      16, 0, kProposalHw | kProposalWrite | kProposalOffset)};
    ring.ExpectViolation(Violation::kElementOutsideRam);
  }
  {
    Ring ring({});
    ring.At(0) = {.addr = Ring::kBuffers,
                  .word = ProposalWord(8, 0, kHwNext | kProposalWrite)};
    ring.At(1) = {.addr = Ring::kBuffers,
                  .word = ProposalWord(8, 0, kProposalHw)};
    ring.ExpectViolation(Violation::kReadableAfterWritable);
  }
  constexpr uint16_t kTable = kProposalHw | kProposalIndirect;
  {
    Ring ring({});
    ring.At(0) = {.addr = Ring::kTables, .word = ProposalWord(16, 0, kTable)};
    ring.ExpectViolation(Violation::kIndirectNotNegotiated);
  }
  {
    Ring ring({.indirect = true});
    ring.At(0) = {.addr = Ring::kTables,
                  .word = ProposalWord(16, 0, kTable | kProposalNext)};
    ring.ExpectViolation(Violation::kIndirectWithNext);
  }
  for (const uint32_t bytes : {0u, 8u, 17u}) {
    Ring ring({.indirect = true});
    ring.At(0) = {.addr = Ring::kTables,
                  .word = ProposalWord(bytes, 0, kTable)};
    ring.ExpectViolation(Violation::kIndirectTableLength);
  }
  {
    Ring ring({.indirect = true});
    ring.At(0) = {.addr = Ring::kTables,
                  .word = ProposalWord(5 * 16, 0, kTable)};
    ring.ExpectViolation(Violation::kChainTooLong);
  }
  {
    Ring ring({.indirect = true});
    ring.At(0) = {.addr = Ring::kRamBytes, .word = ProposalWord(16, 0, kTable)};
    ring.ExpectViolation(Violation::kIndirectTableOutsideRam);
  }
}

TEST(ProposalBadInputsTest, ConfigurationIsChecked) {
  Ring ring({});
  virtio::QueueConfig config = Ring::Config({});
  config.size = 0;
  EXPECT_FALSE(ProposalQueue::Create(ring.memory, config).ok());
  config = Ring::Config({});
  config.descriptor = memory::GuestAddress(Ring::kRing + 8);
  EXPECT_FALSE(ProposalQueue::Create(ring.memory, config).ok());
  config = Ring::Config({});
  config.driver = memory::GuestAddress(Ring::kRamBytes - 2);
  EXPECT_FALSE(ProposalQueue::Create(ring.memory, config).ok());
}

}  // namespace
}  // namespace annulus::bench
