// Batches of a proposed ring: what a device takes and exposes at once.

#include <algorithm>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/queue/violation.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "tests/bench/proposal_batch.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_ring.h"
#include "tests/bench/proposal_ring_fixture.h"

namespace annulus::bench {
namespace {

using virtio::DriverElement;
using virtio::kNoDriverBuffer;
using virtio::Violation;
using Ring = ProposalTestRing;

void PushAll(Ring& ring, ProposalBatch& batch, uint32_t written) {
  for (ProposalChain& chain : batch.chains()) ring.queue.Push(chain, written);
}

TEST(ProposalTakeTest, AtMostMaxChainsAreTakenOldestFirst) {
  Ring ring({.size = 5});
  ProposalBatch batch(/*max_chains=*/3, /*max_descriptors=*/5);
  // Laps that begin in each descriptor: a batch ends at the ring's end or not.
  for (uint32_t lap = 0; lap < 20; ++lap) {
    SCOPED_TRACE(lap);
    std::vector<uint16_t> indices;
    for (uint32_t i = 0; i < 4; ++i) indices.push_back(ring.AddWritable(8 + i));
    uint32_t next = 0;
    for (const uint32_t count : {3, 1, 0}) {
      ASSERT_EQ(ring.queue.Take(batch), count);
      ASSERT_EQ(batch.chains().size(), count);
      for (const ProposalChain& chain : batch.chains()) {
        EXPECT_TRUE(chain.pending());
        EXPECT_EQ(chain.id(), indices[next]);
        EXPECT_EQ(chain.writable_bytes(), 8 + next);
        ++next;
      }
      PushAll(ring, batch, 7);
    }
    EXPECT_FALSE(ring.driver.HasUsed());
    ring.queue.Expose();
    for (const uint16_t index : indices) ring.ExpectUsed(index, 7);
    EXPECT_FALSE(ring.driver.HasUsed());
  }
}

// Their descriptors still have DESC_HW.
TEST(ProposalTakeTest, WhatIsInFlightIsNotTakenAgain) {
  Ring ring({.size = 4});
  ProposalBatch first(4, 4);
  ProposalBatch second(4, 4);
  for (int lap = 0; lap < 5; ++lap) {
    for (int i = 0; i < 4; ++i) ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
    ASSERT_EQ(ring.queue.Take(first), 4u);
    EXPECT_EQ(ring.queue.Take(second), 0u);
    ring.queue.Push(first.chains()[0], 1);
    EXPECT_EQ(ring.queue.Take(second), 0u) << "it is not exposed";
    ring.queue.Expose();
    ASSERT_EQ(ring.CountUsed(), 1u);
    ASSERT_NE(ring.AddWritable(9), kNoDriverBuffer);
    ASSERT_EQ(ring.queue.Take(second), 1u);
    EXPECT_EQ(second.chains()[0].writable_bytes(), 9u);
    for (int i = 3; i > 0; --i) ring.queue.Push(first.chains()[i], 1);
    PushAll(ring, second, 1);
    ring.queue.Expose();
    ASSERT_EQ(ring.CountUsed(), 4u);
    ASSERT_TRUE(ring.queue.ok());
    ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);  // Shifts the next lap.
    ring.UseOne(1);
    ASSERT_EQ(ring.CountUsed(), 1u);
  }
}

TEST(ProposalTakeTest, ChainForWhichNoRoomIsLeftComesWithTheNextBatch) {
  Ring ring({.size = 8});
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ASSERT_NE(ring.AddChain(3), kNoDriverBuffer);
  ASSERT_NE(ring.AddChain(2), kNoDriverBuffer);
  ProposalBatch batch(/*max_chains=*/4, /*max_descriptors=*/3);
  for (const uint32_t bytes : {8, 24, 16}) {
    ASSERT_EQ(ring.queue.Take(batch), 1u);
    const ProposalChain& chain = batch.chains()[0];
    EXPECT_EQ(chain.readable_bytes() + chain.writable_bytes(), bytes);
    PushAll(ring, batch, 0);
  }
  EXPECT_TRUE(ring.queue.ok());
  ring.queue.Expose();
  EXPECT_EQ(ring.CountUsed(), 3u);
}

TEST(ProposalTakeTest, ChainThatNoBatchCanHoldFailsTheQueue) {
  Ring ring({.size = 8});
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ASSERT_NE(ring.AddChain(3), kNoDriverBuffer);
  ProposalBatch batch(/*max_chains=*/4, /*max_descriptors=*/2);
  EXPECT_EQ(ring.queue.Take(batch), 1u);
  EXPECT_TRUE(ring.queue.ok());
  PushAll(ring, batch, 0);
  EXPECT_EQ(ring.queue.Take(batch), 0u);
  EXPECT_EQ(ring.queue.violation(), Violation::kChainTooLong);
}

TEST(ProposalTakeTest, ChainsBeforeAViolationAreTakenAndCanBeUsed) {
  Ring ring({.size = 4});
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ring.At(2).addr = Ring::kRamBytes - 4;
  ProposalBatch batch(4, 4);
  EXPECT_EQ(ring.queue.Take(batch), 2u);
  EXPECT_EQ(ring.queue.violation(), Violation::kElementOutsideRam);
  PushAll(ring, batch, 1);
  ring.queue.Expose();
  EXPECT_EQ(ring.CountUsed(), 2u);
  ring.At(2).addr = Ring::kBuffers;
  EXPECT_EQ(ring.queue.Take(batch), 0u);
}

TEST(ProposalTakeTest, OffsetLeavesTheFirstBytesOfAnOnlyElementAlone) {
  Ring ring({.size = 4, .offset = 2});
  const DriverElement element = {.addr = Ring::kBuffers, .len = 8};
  ASSERT_NE(ring.driver.Add(&element, 1, nullptr, 0), kNoDriverBuffer);
  ASSERT_NE(ring.driver.Add(nullptr, 0, &element, 1), kNoDriverBuffer);
  ProposalBatch batch(4, 4);
  ASSERT_EQ(ring.queue.Take(batch), 2u);
  EXPECT_EQ(batch.chains()[0].readable_bytes(), 8u);
  ASSERT_EQ(batch.chains()[1].writable_bytes(), 6u);
  EXPECT_EQ(batch.chains()[1].writable()[0].address.value(),
            Ring::kBuffers + 2);
}

TEST(ProposalTakeTest, EmptyElementIsDroppedWhereverItsAddressIs) {
  Ring ring({.size = 4});
  const DriverElement empty = {.addr = ~uint64_t{0}, .len = 0};
  ASSERT_NE(ring.driver.Add(&empty, 1, nullptr, 0), kNoDriverBuffer);
  ASSERT_NE(ring.AddWritable(8), kNoDriverBuffer);
  ProposalBatch batch(4, 4);
  ASSERT_EQ(ring.queue.Take(batch), 2u);
  EXPECT_TRUE(batch.chains()[0].readable().empty());
  EXPECT_EQ(batch.chains()[1].writable_bytes(), 8u);
}

// Whatever lengths of buffers, sizes of batches and orders there are.
TEST(ProposalTakeTest, RandomBuffersComeBackOnce) {
  for (const bool indirect : {false, true}) {
    Ring ring({.size = 7, .indirect = indirect});
    std::mt19937 random(1);
    std::vector<uint32_t> written(7);  // By index, 0 where none is in flight.
    for (int step = 0; step < 20000; ++step) {
      SCOPED_TRACE(step);
      while (random() % 4 != 0) {
        const uint32_t elements = random() % 3 + 1;
        const uint16_t index =
            elements == 1 ? ring.AddWritable(64) : ring.AddChain(elements);
        if (index == kNoDriverBuffer) break;
        ASSERT_EQ(written[index], 0u);
        written[index] = random() % 8 + 1;
      }
      ProposalBatch batch(static_cast<uint16_t>(random() % 6 + 1), 7);
      (void)ring.queue.Take(batch);
      ASSERT_TRUE(ring.queue.ok());
      std::vector<ProposalChain*> order;
      for (ProposalChain& chain : batch.chains()) order.push_back(&chain);
      std::shuffle(order.begin(), order.end(), random);
      for (ProposalChain* chain : order) {
        ring.queue.Push(*chain, written[chain->id()]);
        if (random() % 4 == 0) ring.queue.Expose();
      }
      ring.queue.Expose();
      uint16_t index = 0;
      uint32_t len = 0;
      while (random() % 8 != 0 && ring.driver.GetUsed(&index, &len)) {
        ASSERT_EQ(len, written[index]);
        ASSERT_NE(len, 0u);
        written[index] = 0;
      }
      ASSERT_FALSE(ring.driver.broken());
    }
  }
}

TEST(ProposalTakeTest, ExposedDescriptorsAreLoggedOverTheEndOfTheRing) {
  constexpr uint16_t kSize = 1024;  // Of 256 to a page: pages 1 to 4.
  Ring ring({.size = kSize, .log_writes = true});
  ProposalBatch batch(kSize, kSize);
  const auto use = [&](uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) ring.AddWritable(8);
    ASSERT_EQ(ring.queue.Take(batch), count);
    PushAll(ring, batch, 0);
    ring.queue.Expose();
    ASSERT_EQ(ring.CountUsed(), count);
  };
  use(256);
  EXPECT_EQ(ring.log.Collect(), std::vector<uint64_t>({1}));
  use(512);
  EXPECT_EQ(ring.log.Collect(), std::vector<uint64_t>({2, 3}));
  use(257);
  EXPECT_EQ(ring.log.Collect(), std::vector<uint64_t>({1, 4}));
  ring.AddWritable(8);
  ring.UseOne(8);
  EXPECT_EQ(ring.log.Collect(),
            std::vector<uint64_t>({1, Ring::kBuffers / 4096}));
}

// With --config=tsan this shows that the run of single descriptors, and the
// batch that one release exposes, hand over the bytes of the buffers.
TEST(ProposalTakeTest, TwoThreadsHandBatchesOver) {
  constexpr uint32_t kCount = 20000;
  constexpr uint16_t kSize = 7;
  Ring ring({.size = kSize});
  std::thread device([&] {
    ProposalBatch batch(4, kSize);
    for (uint32_t done = 0; done < kCount;) {
      if (ring.queue.Take(batch) == 0) {
        std::this_thread::yield();
        continue;
      }
      for (ProposalChain& chain : batch.chains()) {
        const uint8_t byte = static_cast<uint8_t>(done++);
        chain.writable()[0].span.CopyIn(0, absl::MakeConstSpan(&byte, 1));
        ring.queue.Push(chain, 1);
      }
      ring.queue.Expose();
    }
  });
  uint8_t* const bytes = ring.Host<uint8_t>(Ring::kBuffers);
  uint32_t added = 0;
  uint32_t bad = 0;
  for (uint32_t got = 0; got < kCount;) {
    for (; added < kCount && added - got < kSize; ++added) {
      const DriverElement element = {.addr = Ring::kBuffers + added % kSize,
                                     .len = 1};
      bytes[added % kSize] = static_cast<uint8_t>(~added);
      ASSERT_NE(ring.driver.AddBatched(nullptr, 0, &element, 1),
                kNoDriverBuffer);
    }
    ring.driver.Expose();
    uint16_t index = 0;
    uint32_t len = 0;
    const uint32_t before = got;
    while (ring.driver.GetUsed(&index, &len)) {
      // In order, as this device is.
      bad +=
          bytes[got % kSize] == static_cast<uint8_t>(got) && len == 1 ? 0 : 1;
      ++got;
    }
    if (got == before) std::this_thread::yield();
  }
  device.join();
  EXPECT_EQ(bad, 0u);
  EXPECT_FALSE(ring.driver.broken());
}

}  // namespace
}  // namespace annulus::bench
