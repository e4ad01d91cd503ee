// What both driver-side rings promise by themselves, against a device that
// lies. How they work with the device side is tested in
// ../queue/virtqueue_test.cc.

#include <cstdint>
#include <optional>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

class DriverRingTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr uint16_t kSize = 4;
  static bool Packed() { return GetParam(); }

  void Put16(memory::GuestAddress area, uint64_t offset, uint16_t value) {
    const uint8_t bytes[] = {static_cast<uint8_t>(value),
                             static_cast<uint8_t>(value >> 8)};
    ASSERT_TRUE(memory_.Write(*area.CheckedAdd(offset), bytes));
  }

  // The device says, as its `count`-th, that buffer `id` was used.
  void Use(uint16_t count, uint16_t id) {
    const QueueConfig& config = driver_.config();
    if (Packed()) {
      Put16(config.descriptor, 16 * count + 8, 3);
      Put16(config.descriptor, 16 * count + 10, 0);
      Put16(config.descriptor, 16 * count + 12, id);
      Put16(config.descriptor, 16 * count + 14,
            kPackedDescAvail | kPackedDescUsed);
    } else {
      Put16(config.device, 4 + 8 * count, id);
      Put16(config.device, 4 + 8 * count + 2, 0);
      Put16(config.device, 4 + 8 * count + 4, 3);
      Put16(config.device, 4 + 8 * count + 6, 0);
      Put16(config.device, 2, count + 1);
    }
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = Packed(), .event_idx = false, .size = kSize}};
};

TEST_P(DriverRingTest, UsedBufferComesBackOnce) {
  const std::optional<uint16_t> id = driver_.Chain().Writable(8).Offer();
  ASSERT_TRUE(id.has_value());
  EXPECT_FALSE(driver_.GetUsed().has_value());
  Use(0, *id);
  const std::optional<FakeDriver::Used> used = driver_.GetUsed();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->id, *id);
  EXPECT_EQ(used->len, 3u);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_FALSE(driver_.broken());
}

TEST_P(DriverRingTest, UsedIdBeyondTheQueueSizeBreaksTheRing) {
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  Use(0, kSize);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(DriverRingTest, UsedIdThatIsNotInFlightBreaksTheRing) {
  const std::optional<uint16_t> id = driver_.Chain().Writable(8).Offer();
  ASSERT_TRUE(id.has_value());
  Use(0, (*id + 1) % kSize);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(DriverRingTest, BufferUsedTwiceBreaksTheRing) {
  const std::optional<uint16_t> id = driver_.Chain().Writable(8).Offer();
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  Use(0, *id);
  EXPECT_TRUE(driver_.GetUsed().has_value());
  Use(1, *id);
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_TRUE(driver_.broken());
}

TEST_P(DriverRingTest, FullRingRefusesAndEmptyBufferToo) {
  EXPECT_FALSE(driver_.Chain().Offer().has_value());
  for (int i = 0; i < kSize; ++i) {
    EXPECT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  }
  EXPECT_EQ(driver_.free_descriptors(), 0u);
  EXPECT_FALSE(driver_.Chain().Writable(8).Offer().has_value());
}

TEST_P(DriverRingTest, NotificationIsDecidedOncePerBatch) {
  EXPECT_FALSE(driver_.NeedsNotification());
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  EXPECT_TRUE(driver_.NeedsNotification());
  EXPECT_FALSE(driver_.NeedsNotification());
}

TEST_P(DriverRingTest, DeviceThatWantsNoNotificationGetsNone) {
  // RING_EVENT_FLAGS_DISABLE or VIRTQ_USED_F_NO_NOTIFY.
  Put16(driver_.config().device, Packed() ? 2 : 0, 1);
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  EXPECT_FALSE(driver_.NeedsNotification());
}

INSTANTIATE_TEST_SUITE_P(Rings, DriverRingTest, testing::Bool());

}  // namespace
}  // namespace annulus::virtio
