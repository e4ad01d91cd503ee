#include "devices/platform/byte_ring.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

TEST(ByteRingTest, AgreesWithADequeOverEveryWrap) {
  constexpr size_t kCapacity = 7;
  ByteRing ring(kCapacity);
  std::deque<uint8_t> model;
  uint8_t next = 0;
  for (size_t round = 0; round < 500; ++round) {
    for (size_t i = 0; i < round % 5 && ring.room() > 0; ++i) {
      model.push_back(next);
      ring.Push(next++);
    }
    ASSERT_EQ(ring.size(), model.size());
    ASSERT_EQ(ring.room(), kCapacity - model.size());

    std::vector<uint8_t> taken((round * 3) % 4);
    const size_t count = ring.Pop(absl::MakeSpan(taken));
    ASSERT_EQ(count, std::min(taken.size(), model.size()));
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(taken[i], model.front());
      model.pop_front();
    }
  }
}

TEST(ByteRingTest, FullRingGivesAllBackInOrder) {
  ByteRing ring(4);
  uint8_t out[8] = {};
  ring.Push(0);
  ring.Push(1);
  ASSERT_EQ(ring.Pop(absl::MakeSpan(out, 1)), 1u);
  for (uint8_t i = 2; i < 5; ++i) ring.Push(i);
  EXPECT_EQ(ring.room(), 0u);
  ASSERT_EQ(ring.Pop(absl::MakeSpan(out)), 4u);
  EXPECT_EQ(absl::MakeConstSpan(out, 4),
            absl::MakeConstSpan(std::vector<uint8_t>{1, 2, 3, 4}));
}

TEST(ByteRingTest, ClearLeavesNothing) {
  ByteRing ring(2);
  ring.Push(1);
  ring.Clear();
  uint8_t out = 0xaa;
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.Pop(absl::MakeSpan(&out, 1)), 0u);
  EXPECT_EQ(out, 0xaa);
}

}  // namespace
}  // namespace annulus::platform
