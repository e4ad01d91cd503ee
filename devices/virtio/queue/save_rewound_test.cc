#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

// Over both ring formats, with and without VIRTIO_F_IN_ORDER.
class SaveRewoundTest : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  static constexpr uint16_t kSize = 8;
  static bool Packed() { return std::get<0>(GetParam()); }
  static bool InOrder() { return std::get<1>(GetParam()); }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = Packed(),
                      .indirect = false,
                      .in_order = InOrder(),
                      .size = kSize}};
};

TEST_P(SaveRewoundTest, WhatWasPoppedAndNotPushedIsPoppedAgain) {
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chains[] = {DescriptorChain(kSize), DescriptorChain(kSize),
                              DescriptorChain(kSize)};
  for (DescriptorChain& chain : chains) {
    ASSERT_TRUE(driver_.Chain().Readable("request").Writable(100).Offer());
    ASSERT_TRUE(queue.Pop(chain));
  }
  queue.Push(chains[0], 10);
  (void)queue.Publish();
  const QueueState state = queue.SaveRewound();
  EXPECT_EQ(state.next_available, state.next_used);
  EXPECT_EQ(state.available_wrap, state.used_wrap);

  Virtqueue resumed =
      Virtqueue::Create(memory_, driver_.config(), state).value();
  EXPECT_TRUE(resumed.AllResumed());
  for (const uint16_t id : {chains[1].id(), chains[2].id()}) {
    DescriptorChain chain(kSize);
    ASSERT_TRUE(resumed.Pop(chain));
    EXPECT_EQ(chain.id(), id);
    EXPECT_EQ(chain.readable_bytes(), 7u);
    EXPECT_EQ(chain.writable_bytes(), 100u);
    resumed.Push(chain, 20);
  }
  DescriptorChain none(kSize);
  EXPECT_FALSE(resumed.Pop(none));
  (void)resumed.Publish();
  EXPECT_EQ(driver_.GetUsed()->len, 10u);
  EXPECT_EQ(driver_.GetUsed()->len, 20u);
  EXPECT_EQ(driver_.GetUsed()->len, 20u);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_FALSE(driver_.broken());
}

TEST_P(SaveRewoundTest, QueueThatIsStoppedAtAnyTimeLosesNothing) {
  std::mt19937 random(1);
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  std::deque<DescriptorChain> popped;
  std::set<uint16_t> in_flight;
  int stops = 0;
  const auto take_used = [&] {
    while (const std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
      ASSERT_EQ(in_flight.erase(used->id), 1u);
      ASSERT_EQ(used->len, used->writable_bytes);
    }
    ASSERT_FALSE(driver_.broken());
  };
  for (int step = 0; step < 20000; ++step) {
    FakeDriver::ChainBuilder builder = driver_.Chain();
    if (random() % 2 == 0) builder.Readable("r");
    if (random() % 2 == 0) builder.Readable("s").Writable(9);
    if (const std::optional<uint16_t> id = builder.Offer()) {
      ASSERT_TRUE(in_flight.insert(*id).second);
    }
    for (uint32_t pops = random() % 3; pops != 0; --pops) {
      DescriptorChain chain(kSize);
      if (!queue.Pop(chain)) break;
      ASSERT_EQ(in_flight.count(chain.id()), 1u);
      popped.push_back(std::move(chain));
    }
    for (uint32_t pushes = random() % 3; pushes != 0; --pushes) {
      if (popped.empty()) break;
      queue.Push(popped.front(), popped.front().writable_bytes());
      popped.pop_front();
    }
    if (random() % 3 == 0) (void)queue.Publish();
    if (random() % 4 == 0) {
      queue.Expose();
      if (!popped.empty()) ++stops;
      const QueueState state = queue.SaveRewound();
      popped.clear();
      queue = Virtqueue::Create(memory_, driver_.config(), state).value();
    }
    take_used();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(stops, 100);
  for (DescriptorChain& chain : popped) {
    queue.Push(chain, chain.writable_bytes());
  }
  DescriptorChain chain(kSize);
  while (queue.Pop(chain)) queue.Push(chain, chain.writable_bytes());
  (void)queue.Publish();
  take_used();
  EXPECT_TRUE(in_flight.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Formats, SaveRewoundTest,
    testing::Combine(testing::Bool(), testing::Bool()),
    [](const testing::TestParamInfo<std::tuple<bool, bool>>& info) {
      return std::string(std::get<0>(info.param) ? "Packed" : "Split") +
             (std::get<1>(info.param) ? "InOrder" : "");
    });

}  // namespace
}  // namespace annulus::virtio
