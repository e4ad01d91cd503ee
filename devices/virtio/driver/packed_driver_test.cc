// What a packed ring's driver writes, descriptor by descriptor. Most of these
// tests keep a mistake from coming back that was found in review when the
// format was young: in the example code of its first draft, and in the first
// version of a driver for it.

#include "devices/virtio/driver/packed_driver.h"

#include <cstdint>
#include <optional>

#include "devices/virtio/driver/driver_test_ring.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/spec/packed_ring.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kAvailable = kPackedDescAvail;  // In the first lap.
constexpr uint16_t kAvailableNext = kPackedDescUsed;
constexpr uint16_t kWrap = kPackedEventWrap;

FakeDriverOptions Options(uint16_t size) {
  return {.packed = true, .indirect = false, .size = size};
}

// The review of the draft: "updating is missing in the loop".
TEST(PackedDriverTest, EachElementOfABufferTakesTheNextDescriptor) {
  DriverTestRing ring(Options(5));
  ASSERT_TRUE(ring.driver.Chain()
                  .Readable("one")
                  .Readable("four")
                  .Writable(5)
                  .Offer()
                  .has_value());
  EXPECT_EQ(ring.PackedAt(0).len, 3u);
  EXPECT_EQ(ring.PackedAt(1).len, 4u);
  EXPECT_EQ(ring.PackedAt(2).len, 5u);
  EXPECT_EQ(ring.PackedAt(3).flags, 0u);
}

// The review of the draft: "Should be (vq->next_avail >= vq->size)".
TEST(PackedDriverTest, DescriptorAfterTheLastIsTheFirstWithTheOtherWrap) {
  DriverTestRing ring(Options(3));
  const uint64_t behind = ring.config().descriptor.value() + 3 * 16;
  const uint16_t before[] = {ring.Get16(behind + 8), ring.Get16(behind + 14)};
  uint16_t first = 0;
  for (uint16_t i = 0; i < 3; ++i) {
    const std::optional<uint16_t> id = ring.driver.Chain().Writable(8).Offer();
    ASSERT_TRUE(id.has_value());
    if (i == 0) first = *id;
    EXPECT_EQ(ring.PackedAt(i).flags, kAvailable | kPackedDescWrite);
  }
  ring.Use(0, first, 1);
  ASSERT_TRUE(ring.driver.GetUsed().has_value());
  ASSERT_TRUE(ring.driver.Chain().Writable(9).Offer().has_value());
  EXPECT_EQ(ring.PackedAt(0).len, 9u);
  EXPECT_EQ(ring.PackedAt(0).flags, kAvailableNext | kPackedDescWrite);
  EXPECT_EQ(ring.Get16(behind + 8), before[0]);
  EXPECT_EQ(ring.Get16(behind + 14), before[1]);
}

// The draft's device went back to slot 0 and left its wrap counter alone.
TEST(PackedDriverTest, DeviceFlipsItsWrapCounterWithEachLap) {
  DriverTestRing ring(Options(3));
  PackedQueue queue = PackedQueue::Create(ring.memory, ring.config()).value();
  DescriptorChain chain(3);
  for (int i = 0; i < 12; ++i) {
    SCOPED_TRACE(i);
    ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
    ASSERT_TRUE(queue.Pop(chain));
    queue.Push(chain, 8);
    EXPECT_TRUE(queue.Publish());
    const uint16_t expected = (i / 3) % 2 == 0 ? 0x8080 : 0;
    EXPECT_EQ(ring.PackedAt(static_cast<uint16_t>(i % 3)).flags,
              expected | kPackedDescWrite);
    EXPECT_TRUE(ring.driver.GetUsed().has_value());
    EXPECT_FALSE(ring.driver.GetUsed().has_value());
  }
}

// "we only need this for the last descriptor", "Last one doesn't continue".
TEST(PackedDriverTest, LastDescriptorOfABufferHasItsIdAndNoNext) {
  DriverTestRing ring(Options(8));
  ASSERT_EQ(ring.driver.Chain().Writable(8).Offer(), 0);
  ASSERT_EQ(ring.driver.Chain().Readable("r").Writable(8).Writable(8).Offer(),
            1);
  EXPECT_EQ(ring.PackedAt(1).flags, kAvailable | kPackedDescNext);
  EXPECT_EQ(ring.PackedAt(1).id, 0);
  EXPECT_EQ(ring.PackedAt(2).flags,
            kAvailable | kPackedDescNext | kPackedDescWrite);
  EXPECT_EQ(ring.PackedAt(3).flags, kAvailable | kPackedDescWrite);
  EXPECT_EQ(ring.PackedAt(3).id, 1);
}

TEST(PackedDriverTest, OnlyElementOfABufferHasItsIdAndNoNext) {
  DriverTestRing ring(Options(8));
  ASSERT_EQ(ring.driver.Chain().Writable(8).Offer(), 0);
  ASSERT_EQ(ring.driver.Chain().Readable("r").Offer(), 1);
  EXPECT_EQ(ring.PackedAt(1).flags, kAvailable);
  EXPECT_EQ(ring.PackedAt(1).id, 1);
}

// "we should examine RING_EVENT_FLAGS_DESC in desc_event_flags instead of
// vq->event here."
TEST(PackedDriverTest, DeviceThatEnablesIsNotifiedAlthoughItCouldUseEvents) {
  DriverTestRing ring(Options(8));
  ring.DeviceEvent(kWrap | 5, kRingEventFlagsEnable);
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  EXPECT_TRUE(ring.driver.NeedsNotification());
}

TEST(PackedDriverTest, DeviceThatDisablesIsNotNotifiedAlthoughItsEventPassed) {
  DriverTestRing ring(Options(8));
  ring.DeviceEvent(kWrap | 0, kRingEventFlagsDisable);
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  EXPECT_FALSE(ring.driver.NeedsNotification());
}

// The driver compared the event's wrap counter with its own: an event in the
// lap that a batch has just left was never seen.
TEST(PackedDriverTest, BatchOverTheEndOfTheRingNotifiesForAnEventBeforeIt) {
  DriverTestRing ring(Options(4));
  for (uint16_t i = 0; i < 3; ++i) {
    const std::optional<uint16_t> id = ring.driver.Chain().Writable(8).Offer();
    ASSERT_TRUE(id.has_value());
    ring.Use(i, *id, 1);
    ASSERT_TRUE(ring.driver.GetUsed().has_value());
  }
  (void)ring.driver.NeedsNotification();
  ring.DeviceEvent(kWrap | 3, kRingEventFlagsDesc);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  }
  EXPECT_TRUE(ring.driver.NeedsNotification());
}

TEST(PackedDriverTest, EventInTheNextLapIsNotTakenForOneInThis) {
  DriverTestRing ring(Options(4));
  ring.DeviceEvent(1, kRingEventFlagsDesc);  // Wrap counter 0.
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  EXPECT_FALSE(ring.driver.NeedsNotification());
}

// The driver guessed the used position's wrap counter by `last_used_idx >
// next_avail_idx`, which a full ring makes wrong.
TEST(PackedDriverTest, CallbackOfAFullRingIsAskedForInTheOldLap) {
  DriverTestRing ring(Options(4));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  }
  EXPECT_FALSE(ring.driver.EnableCallbacks());
  EXPECT_EQ(ring.DriverEvent().desc, kWrap | 0);
  EXPECT_EQ(ring.DriverEvent().flags, kRingEventFlagsDesc);
}

TEST(PackedDriverTest, CallbackOfAnEmptyRingInItsSecondLapIsAskedForThere) {
  DriverTestRing ring(Options(2));
  for (uint16_t i = 0; i < 2; ++i) {
    const std::optional<uint16_t> id = ring.driver.Chain().Writable(8).Offer();
    ASSERT_TRUE(id.has_value());
    ring.Use(i, *id, 1);
    ASSERT_TRUE(ring.driver.GetUsed().has_value());
  }
  EXPECT_FALSE(ring.driver.EnableCallbacks());
  EXPECT_EQ(ring.DriverEvent().desc, 0);
}

// "If we don't zero it, [...] the desc is still available to the device."
TEST(PackedDriverTest, DetachedBuffersAreNotAvailableAnyMore) {
  DriverTestRing ring(Options(4));
  PackedQueue queue = PackedQueue::Create(ring.memory, ring.config()).value();
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Writable(8).Offer().has_value());
  ASSERT_TRUE(queue.HasAvailable());
  EXPECT_EQ(ring.driver.DetachUnused(), 0);
  EXPECT_EQ(ring.driver.DetachUnused(), 1);
  EXPECT_EQ(ring.driver.DetachUnused(), std::nullopt);
  EXPECT_FALSE(queue.HasAvailable());
  for (uint16_t i = 0; i < 4; ++i) EXPECT_EQ(ring.PackedAt(i).flags, 0) << i;
}

// "spec doesn't say we must use VRING_EVENT_F_DESC when EVENT_IDX is
// negotiated."
TEST(PackedDriverTest, EveryCallbackMayBeEnabledWithEventIdx) {
  DriverTestRing ring(Options(4));
  PackedQueue queue = PackedQueue::Create(ring.memory, ring.config()).value();
  DescriptorChain chain(4);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  }
  EXPECT_FALSE(ring.driver.EnableEveryCallback());
  EXPECT_EQ(ring.DriverEvent().flags, kRingEventFlagsEnable);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(queue.Pop(chain));
    queue.Push(chain, 8);
    EXPECT_TRUE(queue.Publish()) << i;  // With an event only the first is.
  }
  EXPECT_TRUE(ring.driver.EnableEveryCallback());
}

TEST(PackedDriverTest, NotificationDataIsTheNextPositionWithItsWrapCounter) {
  DriverTestRing ring(Options(3));
  EXPECT_EQ(ring.driver.NotificationData(7), 0x8000'0007u);
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Writable(8).Offer().has_value());
  EXPECT_EQ(ring.driver.NotificationData(7), 0x8002'0007u);
  ASSERT_TRUE(ring.driver.Chain().Writable(8).Offer().has_value());
  EXPECT_EQ(ring.driver.NotificationData(7), 0x0000'0007u);
}

}  // namespace
}  // namespace annulus::virtio
