// Both sides of the proposed ring: what they write, and that they work
// together.

#include "tests/bench/proposal_ring.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_ring_fixture.h"

namespace annulus::bench {
namespace {

using virtio::DriverElement;
using virtio::kNoDriverBuffer;

using Ring = ProposalTestRing;

TEST(ProposalRingTest, DescriptorIsTheDevicesUntilItIsUsed) {
  Ring ring({.size = 2});
  const uint16_t index = ring.AddWritable(64);
  EXPECT_EQ(ring.At(0).addr, Ring::kBuffers);
  EXPECT_EQ(ring.At(0).len(), 64u);
  EXPECT_EQ(ring.At(0).flags(), kProposalHw | kProposalWrite);
  EXPECT_FALSE(ring.driver.HasUsed());
  ring.UseOne(5);
  EXPECT_EQ(ring.At(0).len(), 5u);
  EXPECT_EQ(ring.At(0).index(), index);
  EXPECT_EQ(ring.At(0).flags(), kProposalWrite);
  ring.ExpectUsed(index, 5);
  EXPECT_FALSE(ring.driver.HasUsed());
  EXPECT_FALSE(ring.queue.HasAvailable());
}

TEST(ProposalRingTest, BatchOfBuffersIsLinkedAndShownAtOnce) {
  Ring ring({.size = 4});
  const DriverElement element = {.addr = Ring::kBuffers, .len = 8};
  const uint16_t first = ring.driver.AddBatched(&element, 1, nullptr, 0);
  const DriverElement two[] = {element, element};
  const uint16_t second = ring.driver.AddBatched(nullptr, 0, two, 2);
  const uint16_t third = ring.driver.AddBatched(&element, 1, nullptr, 0);
  EXPECT_FALSE(ring.queue.HasAvailable());
  ring.driver.Expose();
  EXPECT_EQ(ring.At(0).flags(), kProposalHw | kProposalBatchNext);
  EXPECT_EQ(ring.At(1).flags(), kProposalHw | kProposalNext | kProposalWrite);
  EXPECT_EQ(ring.At(2).flags(),
            kProposalHw | kProposalBatchNext | kProposalWrite);
  EXPECT_EQ(ring.At(3).flags(), kProposalHw);
  EXPECT_NE(ring.At(1).index(), ring.At(2).index());

  ProposalChain chains[] = {ProposalChain(4), ProposalChain(4),
                            ProposalChain(4)};
  for (ProposalChain& chain : chains) ASSERT_TRUE(ring.queue.Pop(chain));
  EXPECT_FALSE(ring.queue.Pop(ring.chain));
  ring.queue.Push(chains[0], 0);
  ring.queue.Push(chains[1], 3);
  ring.queue.Push(chains[2], 0);
  EXPECT_FALSE(ring.driver.HasUsed());
  (void)ring.queue.Publish();
  EXPECT_EQ(ring.At(0).flags(), kProposalBatchNext);
  EXPECT_EQ(ring.At(1).flags(), kProposalBatchNext | kProposalWrite);
  EXPECT_EQ(ring.At(2).flags(), 0);
  EXPECT_EQ(ring.At(3).flags(), 0);
  ring.ExpectUsed(first, 0);
  ring.ExpectUsed(second, 3);
  ring.ExpectUsed(third, 0);
}

TEST(ProposalRingTest, BuffersMayBeUsedInAnotherOrder) {
  Ring ring({.size = 3});
  ProposalChain chains[] = {ProposalChain(3), ProposalChain(3),
                            ProposalChain(3)};
  uint16_t indices[3];
  for (int lap = 0; lap < 5; ++lap) {
    for (uint32_t i = 0; i < 3; ++i) indices[i] = ring.AddWritable(8 + i);
    EXPECT_EQ(ring.AddWritable(1), kNoDriverBuffer);
    for (ProposalChain& chain : chains) ASSERT_TRUE(ring.queue.Pop(chain));
    // What is in flight still has DESC_HW and must not be popped again.
    EXPECT_FALSE(ring.queue.HasAvailable());
    EXPECT_FALSE(ring.queue.Pop(ring.chain));
    for (int i : {2, 0, 1}) {
      ring.queue.Push(chains[i], static_cast<uint32_t>(i));
      (void)ring.queue.Publish();
      ring.ExpectUsed(indices[i], static_cast<uint32_t>(i));
    }
  }
}

// Whatever lengths of buffers, sizes of batches and orders there are.
TEST(ProposalRingTest, RandomBuffersComeBackOnce) {
  for (const bool indirect : {false, true}) {
    Ring ring({.size = 5, .indirect = indirect});
    std::mt19937 random(1);
    std::vector<bool> in_flight(5);
    std::deque<ProposalChain> popped;
    for (int step = 0; step < 20000; ++step) {
      SCOPED_TRACE(step);
      const uint32_t elements = random() % 3 + 1;
      if (const uint16_t index = ring.AddChain(elements);
          index != kNoDriverBuffer) {
        ASSERT_FALSE(in_flight[index]);
        in_flight[index] = true;
      }
      ProposalChain chain(5);
      while (random() % 2 == 0 && ring.queue.Pop(chain)) {
        ASSERT_EQ(chain.readable_bytes(), 8u);
        popped.push_back(std::move(chain));
        chain = ProposalChain(5);
      }
      ASSERT_TRUE(ring.queue.ok());
      while (random() % 2 == 0 && !popped.empty()) {
        const size_t which = random() % popped.size();
        ring.queue.Push(popped[which], 4);
        popped.erase(popped.begin() + static_cast<std::ptrdiff_t>(which));
      }
      if (random() % 2 == 0) (void)ring.queue.Publish();
      uint16_t index = 0;
      uint32_t len = 0;
      while (ring.driver.GetUsed(&index, &len)) {
        ASSERT_TRUE(in_flight[index]);
        in_flight[index] = false;
      }
      ASSERT_FALSE(ring.driver.broken());
    }
  }
}

TEST(ProposalRingTest, IndirectTableHoldsTheElements) {
  Ring ring({.size = 4, .indirect = true});
  ring.AddChain(3);
  EXPECT_EQ(ring.At(0).flags(), kProposalHw | kProposalIndirect);
  EXPECT_EQ(ring.At(0).len(), 48u);
  EXPECT_EQ(ring.At(1).flags(), 0);
  ASSERT_TRUE(ring.queue.Pop(ring.chain));
  EXPECT_EQ(ring.chain.readable_bytes(), 8u);
  EXPECT_EQ(ring.chain.writable_bytes(), 16u);
}

TEST(ProposalRingTest, OffsetLeavesTheFirstWritableBytesAlone) {
  for (const bool indirect : {false, true}) {
    Ring ring({.size = 4, .indirect = indirect, .offset = 2});
    ring.AddChain(3);
    ASSERT_TRUE(ring.queue.Pop(ring.chain));
    ASSERT_EQ(ring.chain.readable()[0].address.value(), Ring::kBuffers);
    ASSERT_EQ(ring.chain.writable()[0].address.value(), Ring::kBuffers + 2);
    EXPECT_EQ(ring.chain.writable()[0].span.size(), 6u);
    EXPECT_EQ(ring.chain.writable()[1].address.value(), Ring::kBuffers);
    EXPECT_EQ(ring.chain.writable_bytes(), 14u);
  }
}

TEST(ProposalRingTest, EventIsReachedWithinTheStepsAndNotElsewhere) {
  constexpr uint32_t kSize = 3;
  for (uint32_t start = 0; start < 2 * kSize; ++start) {
    for (uint32_t count = 0; count <= kSize; ++count) {
      ProposalCounter counter;
      for (uint32_t i = 0; i < start; ++i) counter.Advance(1, kSize);
      ProposalCounter end = counter;
      end.Advance(count, kSize);
      std::vector<bool> reached(2 * kSize);
      for (uint32_t i = 0; i < count; ++i) {
        counter.Advance(1, kSize);
        reached[counter.value(kSize)] = true;
      }
      for (uint16_t idx = 0; idx < 2 * kSize; ++idx) {
        EXPECT_EQ(ProposalEventReached(idx, end, count, kSize), reached[idx])
            << start << " " << count << " " << idx;
      }
      EXPECT_EQ(ProposalEventReached(2 * kSize, end, count, kSize), count != 0);
    }
  }
}

TEST(ProposalRingTest, BothSidesAreNotifiedAtTheNextBufferOnly) {
  for (const bool event_idx : {false, true}) {
    SCOPED_TRACE(event_idx);
    Ring ring({.size = 3, .event_idx = event_idx});
    for (int i = 0; i < 20; ++i) {
      SCOPED_TRACE(i);
      EXPECT_FALSE(ring.queue.EnableNotifications());
      const uint16_t first = ring.AddWritable(8);
      EXPECT_TRUE(ring.driver.NeedsNotification());
      EXPECT_TRUE(ring.queue.EnableNotifications());
      // The event was at the buffer before this one.
      if (event_idx) ring.queue.DisableNotifications();
      const uint16_t second = ring.AddWritable(8);
      EXPECT_EQ(ring.driver.NeedsNotification(), !event_idx);

      EXPECT_FALSE(ring.driver.EnableCallbacks());
      EXPECT_TRUE(ring.UseOne(1));
      EXPECT_EQ(ring.UseOne(2), !event_idx);
      EXPECT_TRUE(ring.driver.EnableCallbacks());
      ring.ExpectUsed(first, 1);
      ring.ExpectUsed(second, 2);
      ring.driver.DisableCallbacks();
      const uint16_t third = ring.AddWritable(8);
      EXPECT_FALSE(ring.UseOne(3));
      ring.ExpectUsed(third, 3);
    }
  }
}

TEST(ProposalRingTest, BatchThatPassesTheEventNotifies) {
  Ring ring({.size = 3});
  for (int lap = 0; lap < 10; ++lap) {
    EXPECT_FALSE(ring.queue.EnableNotifications());
    EXPECT_FALSE(ring.driver.EnableCallbacks());
    ProposalChain one(3);
    ProposalChain two(3);
    ring.AddWritable(8);
    ring.AddWritable(8);
    EXPECT_TRUE(ring.driver.NeedsNotification());
    ASSERT_TRUE(ring.queue.Pop(one));
    ASSERT_TRUE(ring.queue.Pop(two));
    ring.queue.Push(one, 0);
    ring.queue.Push(two, 0);
    EXPECT_TRUE(ring.queue.Publish());
    uint16_t index = 0;
    uint32_t len = 0;
    EXPECT_TRUE(ring.driver.GetUsed(&index, &len));
    EXPECT_TRUE(ring.driver.GetUsed(&index, &len));
  }
}

// With --config=tsan this shows that buffers are handed over, not only counted.
TEST(ProposalRingTest, TwoThreadsHandBuffersOver) {
  constexpr uint32_t kCount = 20000;
  constexpr uint16_t kSize = 7;
  Ring ring({.size = kSize});
  std::thread device([&] {
    for (uint32_t done = 0; done < kCount;) {
      if (!ring.queue.Pop(ring.chain)) {
        std::this_thread::yield();
        continue;
      }
      uint8_t byte = 0;
      ring.chain.readable()[0].span.CopyOut(0, absl::MakeSpan(&byte, 1));
      ring.chain.writable()[0].span.CopyIn(0, absl::MakeConstSpan(&byte, 1));
      ring.queue.Push(ring.chain, 1);
      ++done;
      if (done % 3 == 0 || done == kCount || !ring.queue.HasAvailable()) {
        (void)ring.queue.Publish();
      }
    }
  });
  uint8_t* const bytes = ring.Host<uint8_t>(Ring::kBuffers);
  std::vector<uint8_t> sent(kSize);
  uint32_t added = 0;
  uint32_t bad = 0;
  for (uint32_t got = 0; got < kCount;) {
    for (uint16_t lane = 0; lane < kSize && added < kCount; ++lane) {
      // Of two buffers at most, as a buffer has two descriptors.
      if (ring.driver.free_descriptors() < 2) break;
      const uint64_t at = 2 * uint64_t{added % kSize};
      const DriverElement readable = {.addr = Ring::kBuffers + at, .len = 1};
      const DriverElement writable = {.addr = Ring::kBuffers + at + 1,
                                      .len = 1};
      bytes[at] = static_cast<uint8_t>(added);
      bytes[at + 1] = 0xee;
      ASSERT_NE(ring.driver.AddBatched(&readable, 1, &writable, 1),
                kNoDriverBuffer);
      ++added;
    }
    (void)ring.driver.NeedsNotification();
    uint16_t index = 0;
    uint32_t len = 0;
    while (ring.driver.GetUsed(&index, &len)) {
      // In order, as this device is.
      const uint64_t at = 2 * uint64_t{got % kSize};
      bad += bytes[at + 1] == static_cast<uint8_t>(got) && len == 1 ? 0 : 1;
      ++got;
    }
    if (got != kCount) std::this_thread::yield();
  }
  device.join();
  EXPECT_EQ(bad, 0u);
  EXPECT_FALSE(ring.driver.broken());
}

}  // namespace
}  // namespace annulus::bench
