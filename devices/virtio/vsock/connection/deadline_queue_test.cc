#include "devices/virtio/vsock/connection/deadline_queue.h"

#include <algorithm>
#include <array>
#include <optional>
#include <random>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(DeadlineQueueTest, EarliestComesFirstAndOnlyWhenDue) {
  DeadlineQueue queue;
  EXPECT_EQ(queue.earliest_ns(), DeadlineQueue::kNever);
  queue.Set(7, 300);
  queue.Set(2, 100);
  queue.Set(4, 200);
  EXPECT_EQ(queue.earliest_ns(), 100);
  EXPECT_EQ(queue.PopDue(99), std::nullopt);
  EXPECT_EQ(queue.PopDue(250), 2u);
  EXPECT_EQ(queue.PopDue(250), 4u);
  EXPECT_EQ(queue.PopDue(250), std::nullopt);
  queue.Set(7, 50);
  EXPECT_EQ(queue.earliest_ns(), 50);
  queue.Set(7, DeadlineQueue::kNever);
  EXPECT_EQ(queue.earliest_ns(), DeadlineQueue::kNever);
}

TEST(DeadlineQueueTest, RandomUseAgreesWithAnArray) {
  std::mt19937 random(3);
  DeadlineQueue queue;
  std::array<int64_t, 50> model;
  model.fill(DeadlineQueue::kNever);
  for (int step = 0; step < 100'000; ++step) {
    const uint32_t id = random() % model.size();
    switch (random() % 3) {
      case 0:
        model[id] = random() % 1000;
        queue.Set(id, model[id]);
        break;
      case 1:
        model[id] = DeadlineQueue::kNever;
        queue.Clear(id);
        break;
      case 2: {
        const int64_t earliest = *std::min_element(model.begin(), model.end());
        const std::optional<uint32_t> popped = queue.PopDue(500);
        ASSERT_EQ(popped.has_value(), earliest <= 500);
        if (!popped.has_value()) break;
        ASSERT_EQ(model[*popped], earliest);
        model[*popped] = DeadlineQueue::kNever;
        break;
      }
    }
    ASSERT_EQ(queue.earliest_ns(),
              *std::min_element(model.begin(), model.end()));
  }
}

}  // namespace
}  // namespace annulus::virtio
