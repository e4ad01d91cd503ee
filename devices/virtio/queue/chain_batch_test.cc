#include "devices/virtio/queue/chain_batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/chain_bytes.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

// Over both ring formats.
class ChainBatchTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr uint16_t kSize = 16;

  // Offers a buffer of `elements` readable bytes, each an element of its own.
  void Offer(int elements) {
    FakeDriver::ChainBuilder builder = driver_.Chain();
    for (int i = 0; i < elements; ++i) builder.Readable("x");
    ASSERT_TRUE(builder.Offer().has_value());
  }

  void PushAll(ChainBatch& batch) {
    for (DescriptorChain& chain : batch.chains()) queue_.Push(chain, 0);
  }

  int CountUsed() {
    int count = 0;
    while (driver_.GetUsed().has_value()) ++count;
    return count;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = GetParam(), .indirect = false, .size = kSize}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
};

TEST_P(ChainBatchTest, NothingAvailableIsAnEmptyBatch) {
  ChainBatch batch(4, kSize);
  EXPECT_EQ(queue_.Take(batch), 0u);
  EXPECT_TRUE(batch.chains().empty());
  EXPECT_TRUE(queue_.ok());
}

TEST_P(ChainBatchTest, AtMostMaxChainsAreTakenOldestFirst) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(driver_.Chain().Readable(std::string(i + 1, 'x')).Offer());
  }
  ChainBatch batch(3, kSize);
  uint32_t expected_bytes = 1;
  for (const uint32_t count : {3, 2, 0}) {
    ASSERT_EQ(queue_.Take(batch), count);
    ASSERT_EQ(batch.chains().size(), count);
    for (const DescriptorChain& chain : batch.chains()) {
      EXPECT_TRUE(chain.pending());
      EXPECT_EQ(chain.readable_bytes(), expected_bytes++);
    }
    PushAll(batch);
  }
  (void)queue_.Publish();
  EXPECT_EQ(CountUsed(), 5);
}

TEST_P(ChainBatchTest, ChainForWhichNoRoomIsLeftComesWithTheNextBatch) {
  for (int i = 0; i < 4; ++i) Offer(3);
  ChainBatch batch(/*max_chains=*/4, /*max_descriptors=*/8);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(queue_.Take(batch), 2u);
    for (const DescriptorChain& chain : batch.chains()) {
      ASSERT_EQ(chain.readable().size(), 3u);
      for (const ChainElement& element : chain.readable()) {
        uint8_t byte = 0;
        element.span.CopyOut(0, absl::MakeSpan(&byte, 1));
        EXPECT_EQ(byte, 'x');
      }
    }
    PushAll(batch);
  }
  EXPECT_EQ(queue_.Take(batch), 0u);
  EXPECT_TRUE(queue_.ok());
  (void)queue_.Publish();
  EXPECT_EQ(CountUsed(), 4);
}

TEST_P(ChainBatchTest, ChainThatNoBatchCanHoldFailsTheQueue) {
  Offer(1);
  Offer(3);
  ChainBatch batch(/*max_chains=*/4, /*max_descriptors=*/2);
  EXPECT_EQ(queue_.Take(batch), 1u);
  EXPECT_TRUE(queue_.ok());
  PushAll(batch);
  EXPECT_EQ(queue_.Take(batch), 0u);
  EXPECT_EQ(queue_.violation(), Violation::kChainTooLong);
}

TEST_P(ChainBatchTest, ChainsBeforeAViolationAreTakenAndCanBeUsed) {
  Offer(1);
  Offer(2);
  const uint64_t descriptors = driver_.config().descriptor.value();
  Offer(1);
  // The descriptor of the third buffer, the fourth in either ring.
  const uint64_t beyond = ram_.size();
  uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(beyond >> 8 * i);
  ASSERT_TRUE(memory_.Write(memory::GuestAddress(descriptors + 3 * 16), bytes));
  ChainBatch batch(8, kSize);
  EXPECT_EQ(queue_.Take(batch), 2u);
  EXPECT_EQ(queue_.violation(), Violation::kElementOutsideRam);
  PushAll(batch);
  (void)queue_.Publish();
  EXPECT_EQ(CountUsed(), 2);
  EXPECT_EQ(queue_.Take(batch), 0u);
}

TEST_P(ChainBatchTest, PublishAsksForWhatWasExposedBefore) {
  ASSERT_FALSE(driver_.EnableCallbacks());
  ChainBatch batch(1, kSize);
  for (int i = 0; i < 3; ++i) {
    Offer(1);
    ASSERT_EQ(queue_.Take(batch), 1u);
    PushAll(batch);
    queue_.Expose();
    EXPECT_TRUE(driver_.GetUsed().has_value());
  }
  EXPECT_TRUE(queue_.Publish()) << "the first of the three was waited for";
  EXPECT_FALSE(queue_.Publish()) << "and is announced now";
}

TEST_P(ChainBatchTest, PublishAfterManyLapsOfExposeNotifies) {
  ASSERT_FALSE(driver_.EnableCallbacks());
  ChainBatch batch(1, kSize);
  for (int i = 0; i < (1 << 16); ++i) {
    Offer(1);
    ASSERT_EQ(queue_.Take(batch), 1u);
    PushAll(batch);
    queue_.Expose();
    ASSERT_TRUE(driver_.GetUsed().has_value());
  }
  EXPECT_TRUE(queue_.Publish());
}

// A device that keeps chains sees all of them, in order and whole, however many
// it releases at a time.
TEST_P(ChainBatchTest, KeptChainsStayAsTheyAreWhenMoreAreTaken) {
  ChainBatch batch(/*max_chains=*/6, /*max_descriptors=*/kSize);
  uint32_t seed = 1;
  int offered = 0;
  int served = 0;
  for (int step = 0; step < 2000; ++step) {
    seed = seed * 1664525 + 1013904223;
    for (uint32_t i = 0; i < (seed >> 28) % 4; ++i) {
      // The number, in one to three elements.
      FakeDriver::ChainBuilder builder = driver_.Chain();
      builder.Readable(std::string(1 + offered % 100, 'x'));
      for (int extra = 0; extra < offered % 3; ++extra) builder.Readable("y");
      if (!builder.Offer().has_value()) break;
      ++offered;
    }
    const size_t before = batch.chains().size();
    const uint32_t more = queue_.TakeMore(batch);
    ASSERT_EQ(batch.chains().size(), before + more);
    for (size_t i = 0; i < batch.chains().size(); ++i) {
      const int number = served + static_cast<int>(i);
      const DescriptorChain& chain = batch.chains()[i];
      ASSERT_TRUE(chain.pending());
      ASSERT_EQ(ReadAll(chain), std::string(1 + number % 100, 'x') +
                                    std::string(number % 3, 'y'));
    }
    const uint32_t done = std::min<uint32_t>(
        (seed >> 20) % 5, static_cast<uint32_t>(batch.chains().size()));
    for (uint32_t i = 0; i < done; ++i) queue_.Push(batch.chains()[i], 0);
    batch.Release(done);
    served += static_cast<int>(done);
    (void)queue_.Publish();
    (void)CountUsed();
  }
  EXPECT_TRUE(queue_.ok());
  EXPECT_GT(served, 1500);
}

TEST_P(ChainBatchTest, AnAbandonedBatchIsEmpty) {
  ChainBatch batch(4, kSize);
  Offer(2);
  ASSERT_EQ(queue_.TakeMore(batch), 1u);
  batch.Abandon();
  EXPECT_TRUE(batch.chains().empty());
  Offer(3);
  ASSERT_EQ(queue_.TakeMore(batch), 1u);
  EXPECT_EQ(batch.chains()[0].readable_bytes(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Formats, ChainBatchTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "Packed" : "Split";
                         });

}  // namespace
}  // namespace annulus::virtio
