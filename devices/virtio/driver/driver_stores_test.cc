// The stores of both driver sides, one by one: what a single store must do, and
// which one comes last. The hooks of memory/shared_access.h stand between the
// drivers and their rings here.

#include <cstdint>
#include <cstring>
#include <vector>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "gtest/gtest.h"

#ifndef ANNULUS_SHARED_ACCESS_HOOKS
#error "this test sees nothing without the hooks"
#endif

namespace annulus {
namespace {

struct SharedStoreSeen {
  const void* at;
  uint64_t value;
  unsigned bytes;
  int order;
};
std::vector<SharedStoreSeen> stores;
int fences = 0;

}  // namespace

namespace memory {

unsigned long long HookedLoad(const void* at, unsigned bytes, int order) {
  (void)order;
  unsigned long long value = 0;
  std::memcpy(&value, at, bytes);
  return value;
}
void HookedStore(void* at, unsigned long long value, unsigned bytes,
                 int order) {
  std::memcpy(at, &value, bytes);
  stores.push_back({.at = at, .value = value, .bytes = bytes, .order = order});
}
void HookedFence() { ++fences; }

}  // namespace memory

namespace virtio {
namespace {

constexpr uint16_t kSize = 4;
constexpr DriverElement kElements[] = {{0x1000, 8}, {0x2000, 16}, {0x3000, 32}};

// How many of the stores were releases; those are what shows things.
int Releases() {
  int count = 0;
  for (const SharedStoreSeen& store : stores) {
    count += store.order == __ATOMIC_RELEASE ? 1 : 0;
  }
  return count;
}

void Forget() {
  stores.clear();
  fences = 0;
}

class PackedStoresTest : public testing::Test {
 protected:
  PackedStoresTest() { Forget(); }

  alignas(16) PackedDescriptor ring_[kSize];
  alignas(4) PackedEventSuppression driver_event_;
  alignas(4) PackedEventSuppression device_event_;
  DriverSlot slots_[kSize];
  PackedDriver driver_{{.ring = ring_,
                        .driver_event = &driver_event_,
                        .device_event = &device_event_,
                        .size = kSize,
                        .event_idx = true,
                        .slots = slots_}};
};

TEST_F(PackedStoresTest, FlagsOfTheFirstDescriptorAreStoredLast) {
  driver_.Add(kElements, 1, kElements + 1, 2);
  // With id and length, which are of the same word.
  EXPECT_EQ(stores.back().at, &ring_[0].len);
  EXPECT_EQ(stores.back().bytes, 8u);
  EXPECT_EQ(stores.back().order, __ATOMIC_RELEASE);
  EXPECT_EQ(Releases(), 1);
}

TEST_F(PackedStoresTest, FlagsOfTheFirstDescriptorOfABatchAreStoredLast) {
  driver_.Add(kElements, 1, nullptr, 0);
  Forget();
  driver_.AddBatched(kElements, 1, nullptr, 0);
  driver_.AddBatched(nullptr, 0, kElements, 2);
  EXPECT_EQ(Releases(), 0);
  driver_.Expose();
  EXPECT_EQ(stores.back().at, &ring_[1].len);
  EXPECT_EQ(stores.back().order, __ATOMIC_RELEASE);
  EXPECT_EQ(Releases(), 1);
  Forget();
  driver_.Expose();
  EXPECT_TRUE(stores.empty());
}

// "A smp_wmb() is missed here?" None is needed if there is nothing between.
TEST_F(PackedStoresTest, EventFlagsAndOffsetAreOneStoreBeforeTheFence) {
  Forget();
  driver_.EnableCallbacks();
  ASSERT_EQ(stores.size(), 1u);
  EXPECT_EQ(stores[0].at, &driver_event_);
  EXPECT_EQ(stores[0].bytes, 4u);
  EXPECT_EQ(stores[0].value, 0x0002'8000u);
  EXPECT_EQ(fences, 1);
  Forget();
  driver_.Add(nullptr, 0, kElements, 3);
  Forget();
  driver_.EnableCallbacksDelayed();
  ASSERT_EQ(stores.size(), 1u);
  EXPECT_EQ(stores[0].value, 0x0002'8001u);  // 2 of 3: the one at 1.
  EXPECT_EQ(fences, 1);
  Forget();
  driver_.DisableCallbacks();
  ASSERT_EQ(stores.size(), 1u);
  EXPECT_EQ(stores[0].bytes, 4u);
}

TEST_F(PackedStoresTest, FenceIsBeforeTheDecisionToNotify) {
  driver_.Add(kElements, 1, nullptr, 0);
  Forget();
  EXPECT_TRUE(driver_.NeedsNotification());
  EXPECT_EQ(fences, 1);
}

class SplitStoresTest : public testing::Test {
 protected:
  SplitStoresTest() { Forget(); }

  alignas(16) SplitDescriptor descriptors_[kSize];
  alignas(4) uint8_t available_[SplitAvailableRingBytes(kSize)];
  alignas(4) uint8_t used_[SplitUsedRingBytes(kSize)];
  DriverSlot slots_[kSize];
  SplitDriver driver_{
      {.descriptors = descriptors_,
       .available = reinterpret_cast<SplitAvailableHeader*>(available_),
       .used = reinterpret_cast<SplitUsedHeader*>(used_),
       .size = kSize,
       .event_idx = true,
       .slots = slots_}};
};

TEST_F(SplitStoresTest, IndexIsStoredLastAndOncePerBatch) {
  driver_.Add(kElements, 1, nullptr, 0);
  EXPECT_EQ(stores.back().at, available_ + 2);
  EXPECT_EQ(stores.back().order, __ATOMIC_RELEASE);
  EXPECT_EQ(Releases(), 1);
  Forget();
  driver_.AddBatched(kElements, 1, nullptr, 0);
  driver_.AddBatched(nullptr, 0, kElements, 2);
  EXPECT_EQ(Releases(), 0);
  driver_.Expose();
  EXPECT_EQ(stores.back().at, available_ + 2);
  EXPECT_EQ(stores.back().value, 3u);
  EXPECT_EQ(Releases(), 1);
  Forget();
  driver_.Expose();
  EXPECT_TRUE(stores.empty());
}

TEST_F(SplitStoresTest, UsedEventIsStoredBeforeTheFence) {
  driver_.Add(nullptr, 0, kElements, 3);
  Forget();
  driver_.EnableCallbacksDelayed();
  ASSERT_EQ(stores.size(), 1u);
  EXPECT_EQ(stores[0].at, available_ + SplitUsedEventOffset(kSize));
  EXPECT_EQ(fences, 1);
}

// next_off and next_wrap are the 16 bits of the available index.
TEST_F(SplitStoresTest, NotificationDataIsTheAvailableIndex) {
  for (uint32_t i = 0; i < 0x8003; ++i) {
    ASSERT_NE(driver_.Add(nullptr, 0, kElements, 1), kNoDriverBuffer);
    auto* header = reinterpret_cast<SplitUsedHeader*>(used_);
    reinterpret_cast<SplitUsedElement*>(header + 1)[i % kSize].id = 0;
    header->idx = static_cast<uint16_t>(i + 1);
    uint16_t id = 0;
    uint32_t len = 0;
    ASSERT_TRUE(driver_.GetUsed(&id, &len));
    Forget();
  }
  EXPECT_EQ(driver_.NotificationData(5), 0x8003'0005u);
}

}  // namespace
}  // namespace virtio
}  // namespace annulus
