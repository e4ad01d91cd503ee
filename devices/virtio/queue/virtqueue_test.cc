#include "devices/virtio/queue/virtqueue.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/chain_bytes.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

// The device side against the driver side, over packed, event_idx, indirect and
// the queue size (rounded up to a power of 2 for a split ring).
class VirtqueueTest
    : public testing::TestWithParam<std::tuple<bool, bool, bool, int>> {
 protected:
  static bool Packed() { return std::get<0>(GetParam()); }
  static uint16_t Size() {
    const uint32_t size = static_cast<uint32_t>(std::get<3>(GetParam()));
    return static_cast<uint16_t>(Packed() ? size : std::bit_ceil(size));
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = Packed(),
                      .event_idx = std::get<1>(GetParam()),
                      .indirect = std::get<2>(GetParam()),
                      .size = Size(),
                      .bytes = 3 << 20}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain_{Size()};
};

TEST_P(VirtqueueTest, FormatIsTheNegotiatedOne) {
  EXPECT_EQ(queue_.packed(), Packed());
  EXPECT_EQ(queue_.size(), Size());
}

TEST_P(VirtqueueTest, BuffersTravelBothWaysForManyLaps) {
  for (int i = 0; i < 40 * Size(); ++i) {
    const std::string request = "request " + std::to_string(i);
    ASSERT_TRUE(driver_.Chain().Readable(request).Offer().has_value());
    ASSERT_TRUE(queue_.Pop(chain_));
    ASSERT_EQ(ReadAll(chain_), request);
    ASSERT_EQ(chain_.writable_bytes(), 0u);
    queue_.Push(chain_, 0);
    (void)queue_.Publish();
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    ASSERT_TRUE(used.has_value());
    ASSERT_EQ(used->len, 0u);
  }
  EXPECT_FALSE(queue_.Pop(chain_));
  EXPECT_TRUE(queue_.ok());
  EXPECT_FALSE(driver_.broken());
}

// Random lengths of lists, random batches, completion in random order: against
// a model that is a plain list.
TEST_P(VirtqueueTest, RandomListsBatchesAndOrdersAgreeWithAModel) {
  std::mt19937 random(Size());
  struct Popped {
    std::unique_ptr<DescriptorChain> chain;
    std::string reply;
  };
  std::deque<std::string> offered;
  std::vector<Popped> popped;
  std::vector<std::pair<uint16_t, std::string>> replies;  // By buffer id.
  int sent = 0;
  int returned = 0;
  const int total = 60 * Size() + 500;
  while (returned < total) {
    for (uint32_t n = random() % 5; n > 0 && sent < total; --n) {
      auto chain = driver_.Chain();
      const std::string contents = "buffer " + std::to_string(sent);
      const uint32_t parts = 1 + random() % std::min<uint32_t>(6, Size());
      if (parts == 1) {
        chain.Readable(contents);
      } else {
        chain.Readable(contents.substr(0, 3)).Readable(contents.substr(3));
        for (uint32_t i = 2; i < parts; ++i) chain.Writable(8);
      }
      if (!chain.Offer().has_value()) break;
      offered.push_back(contents);
      ++sent;
    }
    for (uint32_t n = random() % 5; n > 0; --n) {
      Popped next{std::make_unique<DescriptorChain>(Size()), ""};
      if (!queue_.Pop(*next.chain)) break;
      ASSERT_FALSE(offered.empty());
      ASSERT_EQ(ReadAll(*next.chain), offered.front());
      offered.pop_front();
      next.reply = std::string(next.chain->writable_bytes(),
                               static_cast<char>('a' + random() % 26));
      popped.push_back(std::move(next));
    }
    for (uint32_t n = random() % 5; n > 0 && !popped.empty(); --n) {
      std::swap(popped[random() % popped.size()], popped.back());
      Popped& last = popped.back();
      const uint32_t written = WriteAll(*last.chain, last.reply);
      replies.emplace_back(last.chain->id(), last.reply);
      queue_.Push(*last.chain, written);
      popped.pop_back();
    }
    ASSERT_TRUE(queue_.ok()) << queue_.status();
    (void)queue_.Publish();
    for (const auto& [id, reply] : replies) {
      const std::optional<FakeDriver::Used> used = driver_.GetUsed();
      ASSERT_TRUE(used.has_value());
      ASSERT_EQ(used->id, id);
      ASSERT_EQ(used->data, reply);
      ++returned;
    }
    replies.clear();
    ASSERT_FALSE(driver_.GetUsed().has_value());
    ASSERT_FALSE(driver_.broken());
  }
}

TEST_P(VirtqueueTest, FullRingIsServedCompletely) {
  int offered = 0;
  while (driver_.Chain().Writable(4).Offer().has_value()) ++offered;
  EXPECT_EQ(offered, Size());
  int popped = 0;
  while (queue_.Pop(chain_)) {
    queue_.Push(chain_, 4);
    ++popped;
  }
  EXPECT_TRUE(queue_.ok());
  EXPECT_EQ(popped, Size());
  (void)queue_.Publish();
  while (driver_.GetUsed().has_value()) --offered;
  EXPECT_EQ(offered, 0);
  EXPECT_EQ(driver_.free_descriptors(), Size());
}

// One side sleeps, the other one is told of the next buffer: in every lap and
// at every place of the ring.
TEST_P(VirtqueueTest, EachBufferAfterEnablingNotifies) {
  for (int i = 0; i < 5 * Size(); ++i) {
    ASSERT_FALSE(queue_.EnableNotifications());
    ASSERT_FALSE(driver_.EnableCallbacks());
    ASSERT_TRUE(driver_.Chain().Writable(4).Offer().has_value());
    ASSERT_TRUE(driver_.NeedsNotification());
    ASSERT_TRUE(queue_.Pop(chain_));
    queue_.Push(chain_, 4);
    ASSERT_TRUE(queue_.Publish());
    ASSERT_TRUE(driver_.GetUsed().has_value());
  }
}

TEST_P(VirtqueueTest, NoBufferAfterDisablingNotifies) {
  queue_.DisableNotifications();
  driver_.DisableCallbacks();
  // With EVENT_IDX in a split ring the very first index is the initial event.
  const bool event_idx = std::get<1>(GetParam());
  for (int i = 0; i < 5 * Size(); ++i) {
    ASSERT_TRUE(driver_.Chain().Writable(4).Offer().has_value());
    const bool expected = !Packed() && event_idx && i == 0;
    ASSERT_EQ(driver_.NeedsNotification(), expected);
    ASSERT_TRUE(queue_.Pop(chain_));
    queue_.Push(chain_, 4);
    ASSERT_EQ(queue_.Publish(), expected);
    ASSERT_TRUE(driver_.GetUsed().has_value());
  }
}

INSTANTIATE_TEST_SUITE_P(Rings, VirtqueueTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Bool(),
                                          testing::Values(1, 2, 7, 33, 256)));

// Indices of 16 bits wrap.
TEST(VirtqueueLongRunTest, SplitIndicesWrapPast65535) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 1 << 20}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  FakeDriver driver(memory, {.packed = false, .size = 4});
  SplitQueue queue = SplitQueue::Create(memory, driver.config()).value();
  DescriptorChain chain(4);
  for (uint32_t i = 0; i < 140000; ++i) {
    ASSERT_FALSE(queue.EnableNotifications());
    ASSERT_FALSE(driver.EnableCallbacks());
    ASSERT_TRUE(driver.Chain().Writable(4).Offer().has_value());
    ASSERT_TRUE(driver.NeedsNotification()) << i;
    ASSERT_TRUE(queue.Pop(chain)) << i;
    queue.Push(chain, i % 5);
    ASSERT_TRUE(queue.Publish()) << i;
    ASSERT_EQ(driver.GetUsed().value().len, i % 5);
  }
}

TEST(VirtqueueLongRunTest, GreatestPackedRingTravelsAroundTwice) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 16 << 20}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  FakeDriver driver(memory,
                    {.indirect = false, .size = 32768, .bytes = 15 << 20});
  Virtqueue queue = Virtqueue::Create(memory, driver.config()).value();
  DescriptorChain chain(32768);
  for (int lap = 0; lap < 3; ++lap) {
    for (uint32_t i = 0; i < 32768; ++i) {
      ASSERT_TRUE(driver.Chain().Writable(4).Offer().has_value());
    }
    ASSERT_TRUE(driver.NeedsNotification());
    for (uint32_t i = 0; i < 32768; ++i) {
      ASSERT_TRUE(queue.Pop(chain));
      queue.Push(chain, 4);
    }
    ASSERT_FALSE(queue.Pop(chain));
    ASSERT_TRUE(queue.ok());
    ASSERT_TRUE(queue.Publish());
    for (uint32_t i = 0; i < 32768; ++i) {
      ASSERT_TRUE(driver.GetUsed().has_value());
    }
    (void)queue.EnableNotifications();
    (void)driver.EnableCallbacks();
  }
}

}  // namespace
}  // namespace annulus::virtio
