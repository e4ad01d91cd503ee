// What both driver-side rings promise by themselves, against a device that
// lies. How they work with the device side is tested in
// ../queue/virtqueue_test.cc.

#include <cstdint>
#include <optional>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/virtqueue.h"
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
            kPackedDescAvail | kPackedDescUsed | kPackedDescWrite);
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

// Linux's vring counts to 2^16 - 1 and then asks by itself: the split ring's
// indices alone do not tell 2^16 buffers from none.
TEST_P(DriverRingTest, ManyBuffersWithoutAQuestionAreNotForgotten) {
  for (const bool event_idx : {false, true}) {
    for (const uint32_t count : {0x10000u, 0x10001u}) {
      FakeDriver driver(
          memory_, {.packed = Packed(), .event_idx = event_idx, .size = kSize});
      Virtqueue queue = Virtqueue::Create(memory_, driver.config()).value();
      DescriptorChain chain(kSize);
      for (uint32_t i = 0; i < count; ++i) {
        if (i == count - 3) {
          EXPECT_FALSE(queue.EnableNotifications());
        }
        ASSERT_TRUE(driver.Chain().Writable(1).Offer().has_value());
        if (i >= count - 3) continue;  // The device sleeps.
        ASSERT_TRUE(queue.Pop(chain));
        queue.Push(chain, 1);
        (void)queue.Publish();
        ASSERT_TRUE(driver.GetUsed().has_value());
      }
      EXPECT_TRUE(driver.NeedsNotification()) << count << " " << event_idx;
      EXPECT_FALSE(driver.NeedsNotification());
    }
  }
}

TEST_P(DriverRingTest, DeviceThatWantsNoNotificationGetsNone) {
  // RING_EVENT_FLAGS_DISABLE or VIRTQ_USED_F_NO_NOTIFY.
  Put16(driver_.config().device, Packed() ? 2 : 0, 1);
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  EXPECT_FALSE(driver_.NeedsNotification());
}

TEST_P(DriverRingTest, BatchIsSeenOnceItIsExposedAndAsAWhole) {
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain(kSize);
  for (uint32_t bytes = 1; bytes <= 3; ++bytes) {
    ASSERT_TRUE(driver_.Chain().Writable(bytes).OfferBatched().has_value());
    EXPECT_FALSE(queue.HasAvailable());
  }
  driver_.Expose();
  for (uint32_t bytes = 1; bytes <= 3; ++bytes) {
    ASSERT_TRUE(queue.Pop(chain));
    EXPECT_EQ(chain.writable_bytes(), bytes);
    queue.Push(chain, bytes);
  }
  EXPECT_FALSE(queue.Pop(chain));
  EXPECT_TRUE(queue.ok());
}

TEST_P(DriverRingTest, BufferAddedByItselfExposesTheBatchBeforeIt) {
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain(kSize);
  ASSERT_TRUE(driver_.Chain().Writable(1).OfferBatched().has_value());
  ASSERT_TRUE(driver_.Chain().Writable(2).Offer().has_value());
  ASSERT_TRUE(driver_.Chain().Writable(3).Offer().has_value());
  for (uint32_t bytes = 1; bytes <= 3; ++bytes) {
    ASSERT_TRUE(queue.Pop(chain));
    EXPECT_EQ(chain.writable_bytes(), bytes);
    queue.Push(chain, bytes);
  }
}

TEST_P(DriverRingTest, NotificationIsNotDecidedBeforeTheBatchIsExposed) {
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  ASSERT_TRUE(driver_.Chain().Writable(1).OfferBatched().has_value());
  EXPECT_TRUE(driver_.NeedsNotification());
  EXPECT_TRUE(queue.HasAvailable());
}

TEST_P(DriverRingTest, DetachedRingGivesBackEachBufferAndBeginsAnew) {
  const std::optional<uint16_t> used = driver_.Chain().Writable(8).Offer();
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  ASSERT_TRUE(driver_.Chain().Writable(8).Writable(8).Offer().has_value());
  Use(0, *used);
  ASSERT_TRUE(driver_.GetUsed().has_value());
  const std::optional<uint16_t> first = driver_.DetachUnused();
  const std::optional<uint16_t> second = driver_.DetachUnused();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_NE(*first, *second);
  EXPECT_NE(*first, *used);
  EXPECT_NE(*second, *used);
  EXPECT_FALSE(driver_.DetachUnused().has_value());
  EXPECT_FALSE(driver_.HasUsed());
  EXPECT_FALSE(driver_.GetUsed().has_value());
  EXPECT_FALSE(driver_.Chain().Writable(8).Offer().has_value());

  driver_.Reset();
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain(kSize);
  EXPECT_FALSE(queue.HasAvailable());
  EXPECT_FALSE(driver_.HasUsed());
  EXPECT_EQ(driver_.free_descriptors(), kSize);
  for (int i = 0; i < 3 * kSize; ++i) {
    ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
    ASSERT_TRUE(queue.Pop(chain));
    queue.Push(chain, 8);
    (void)queue.Publish();
    ASSERT_TRUE(driver_.GetUsed().has_value());
  }
}

TEST_P(DriverRingTest, DelayedCallbackWithoutEventIdxComesWithTheNextBuffer) {
  Virtqueue queue = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain(kSize);
  for (int i = 0; i < kSize; ++i) {
    ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  }
  driver_.DisableCallbacks();
  EXPECT_FALSE(driver_.EnableCallbacksDelayed());
  ASSERT_TRUE(queue.Pop(chain));
  queue.Push(chain, 8);
  EXPECT_TRUE(queue.Publish());
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());
}

INSTANTIATE_TEST_SUITE_P(Rings, DriverRingTest, testing::Bool());

class DelayedCallbackTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr uint16_t kSize = 8;

  // True if the device notifies.
  bool UseOne() {
    EXPECT_TRUE(queue_.Pop(chain_));
    queue_.Push(chain_, 1);
    return queue_.Publish();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = GetParam(), .indirect = false, .size = kSize}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  DescriptorChain chain_{kSize};
};

TEST_P(DelayedCallbackTest, ComesWhenThreeOfFourBuffersWereUsed) {
  for (int lap = 0; lap < 5; ++lap) {
    SCOPED_TRACE(lap);
    for (int i = 0; i < kSize; ++i) {
      ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
    }
    ASSERT_FALSE(driver_.EnableCallbacksDelayed());
    for (int i = 1; i <= kSize; ++i) EXPECT_EQ(UseOne(), i == 6) << i;
    for (int i = 0; i < kSize; ++i) ASSERT_TRUE(driver_.GetUsed().has_value());
    // One more, so that the next lap begins elsewhere in the ring.
    ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
    ASSERT_FALSE(driver_.EnableCallbacksDelayed());
    EXPECT_TRUE(UseOne());
    ASSERT_TRUE(driver_.GetUsed().has_value());
  }
}

// Nobody would tell the driver any more.
TEST_P(DelayedCallbackTest, IsNotWaitedForWhenThatManyAreUsedAlready) {
  for (int i = 0; i < kSize; ++i) {
    ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  }
  for (int i = 0; i < 5; ++i) (void)UseOne();
  EXPECT_FALSE(driver_.EnableCallbacksDelayed());
  EXPECT_TRUE(UseOne());
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());
}

TEST_P(DelayedCallbackTest, OfAnEmptyRingComesWithTheNextBuffer) {
  EXPECT_FALSE(driver_.EnableCallbacksDelayed());
  ASSERT_TRUE(driver_.Chain().Writable(8).Offer().has_value());
  EXPECT_TRUE(UseOne());
}

TEST_P(DelayedCallbackTest, CountsBuffersOfSeveralDescriptors) {
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(driver_.Chain().Readable("r").Writable(8).Offer().has_value());
  }
  ASSERT_FALSE(driver_.EnableCallbacksDelayed());
  for (int i = 1; i <= 4; ++i) EXPECT_EQ(UseOne(), i == 3) << i;
  EXPECT_TRUE(driver_.EnableCallbacksDelayed());
}

INSTANTIATE_TEST_SUITE_P(Rings, DelayedCallbackTest, testing::Bool());

}  // namespace
}  // namespace annulus::virtio
