#include "devices/virtio/driver/header_slot_ring.h"

#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

struct Slots {
  explicit Slots(uint16_t log)
      : bytes(size_t{64} << log),
        in_driver(size_t{1} << log),
        ring({
            .slots = bytes.data(),
            .tail = &tail,
            .id = 1,
            .slot_bytes = 64,
            .log_slots = log,
            .in_driver = in_driver.data(),
        }) {}

  uint16_t tail = 0xabcd;
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> in_driver;
  HeaderSlotRing ring;
};

TEST(HeaderSlotRingTest, AllSlotsAreTheDevicesAtFirst) {
  Slots slots(3);
  EXPECT_EQ(slots.tail, 8);
  for (uint16_t i = 0; i < 8; ++i) {
    EXPECT_EQ(slots.ring.Take(i), slots.bytes.data() + 64 * i);
  }
}

TEST(HeaderSlotRingTest, SlotsGoBackInIndexOrder) {
  Slots slots(2);
  for (uint16_t i = 0; i < 4; ++i) ASSERT_NE(slots.ring.Take(i), nullptr);
  slots.ring.Release(2);
  slots.ring.Release(1);
  slots.ring.Publish();
  EXPECT_EQ(slots.tail, 4);
  slots.ring.Release(0);
  slots.ring.Publish();
  EXPECT_EQ(slots.tail, 7);
  slots.ring.Release(3);
  EXPECT_EQ(slots.tail, 7) << "not shown yet";
  slots.ring.Publish();
  EXPECT_EQ(slots.tail, 8);
}

TEST(HeaderSlotRingTest, RefusesIndicesThatTheDeviceCannotHave) {
  Slots slots(2);
  for (const uint16_t index : {4, 5, 0x8000, 0xfffc, 0xffff}) {
    EXPECT_EQ(slots.ring.Take(index), nullptr) << index;
  }
  ASSERT_NE(slots.ring.Take(1), nullptr);
  EXPECT_EQ(slots.ring.Take(1), nullptr) << "twice";
  ASSERT_NE(slots.ring.Take(0), nullptr);
  slots.ring.Release(0);
  EXPECT_EQ(slots.ring.Take(0), nullptr) << "released";
  EXPECT_EQ(slots.ring.Take(4), nullptr) << "not shown yet";
  slots.ring.Publish();
  EXPECT_NE(slots.ring.Take(4), nullptr);
}

// Over the end of the index's 16 bits, of the smallest and the largest ring.
TEST(HeaderSlotRingTest, IndexRunsFreely) {
  for (const uint16_t log : {uint16_t{0}, uint16_t{3}, uint16_t{15}}) {
    Slots slots(log);
    std::mt19937 random(log);  // NOLINT(*-msc51-cpp): repeatable.
    std::deque<uint16_t> taken;
    uint16_t head = 0;
    for (uint32_t i = 0; i < 200'000; ++i) {
      if (head != slots.tail) {
        ASSERT_NE(slots.ring.Take(head), nullptr) << i;
        taken.push_back(head++);
      }
      while (taken.size() > 5 || (head == slots.tail && !taken.empty())) {
        const size_t which = random() % taken.size();
        slots.ring.Release(taken[which]);
        taken.erase(taken.begin() + static_cast<ptrdiff_t>(which));
        slots.ring.Publish();
        ASSERT_LE(static_cast<uint16_t>(slots.tail - head), slots.ring.slots());
      }
    }
    for (const uint16_t index : taken) slots.ring.Release(index);
    slots.ring.Publish();
    EXPECT_EQ(static_cast<uint16_t>(slots.tail - head),
              static_cast<uint16_t>(slots.ring.slots()));
  }
}

}  // namespace
}  // namespace annulus::virtio
