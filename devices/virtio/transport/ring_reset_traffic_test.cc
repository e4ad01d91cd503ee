// VIRTIO_F_RING_RESET while a queue's worker is at work: the entropy device,
// its thread, and a driver with rings in guest RAM, over each transport.

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/rng_fixture.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRings = 0x10000;
constexpr uint64_t kRingsBytes = 0x20000;

class RingResetTrafficTest : public RngTest {
 protected:
  void Negotiate() { RngTest::Negotiate(FeatureSet::Of(kFeatureRingReset)); }
  std::unique_ptr<FakeDriver> EnableQueue(uint16_t size, uint64_t base) {
    return RngTest::EnableQueue({.size = size,
                                 .base = memory::GuestAddress(base),
                                 .bytes = kRingsBytes});
  }

  std::vector<uint8_t> Ram(uint64_t start) {
    std::vector<uint8_t> bytes(kRingsBytes);
    EXPECT_TRUE(transport().memory().Read(memory::GuestAddress(start),
                                          absl::MakeSpan(bytes)));
    return bytes;
  }
};

INSTANTIATE_TEST_SUITE_P(All, RingResetTrafficTest, EveryRngTest(),
                         RngTestName);

// "The device MUST reset any state of a virtqueue to the default state,
// including the available state and the used state."
TEST_P(RingResetTrafficTest, ReenabledRingStartsFromItsBeginning) {
  Negotiate();
  std::unique_ptr<FakeDriver> ring = EnableQueue(16, kRings);
  transport().DriverOk();
  for (const uint16_t size : {4, 256, 8, 16}) {
    // An odd number: neither index nor wrap counter is where it was.
    for (int i = 0; i < 21; ++i) EXPECT_EQ(GetBytes(*ring, 8).len, 8u);
    EXPECT_FALSE(ring->broken());
    transport().WriteQueueReset(1);
    EXPECT_EQ(transport().QueueReset(), 0u);
    ring = EnableQueue(size, kRings);
    ASSERT_EQ(transport().QueueEnable(), 1u) << size;
  }
  EXPECT_EQ(GetBytes(*ring, 8).len, 8u);
  EXPECT_EQ(transport().Status(), 15);
}

// "After the queue has been successfully reset, the driver MAY release any
// resource associated with that virtqueue."
TEST_P(RingResetTrafficTest, MemoryIsTheDriversAfterResetAmidTraffic) {
  Negotiate();
  std::unique_ptr<FakeDriver> ring = EnableQueue(256, kRings);
  transport().DriverOk();
  std::atomic<bool> over{false};
  // Another vCPU, which notifies all the time and reads what it likes.
  std::thread other([&] {
    while (!over) {
      transport().Notify(0);
      transport().Status();
      transport().QueueReset();
      // The registers' mutex is nobody's for long.
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(ring->Chain().Writable(64).Writable(64).Offer().has_value());
    }
    transport().Notify(0);
    // Some rounds let the worker begin, others do not.
    for (int i = 0; i < 6 * round; ++i) std::this_thread::yield();
    transport().WriteQueueReset(1);
    transport().TakeUsedBufferInterrupts();
    const std::vector<uint8_t> before = Ram(kRings);
    for (int i = 0; i < 20; ++i) std::this_thread::yield();
    ASSERT_TRUE(Ram(kRings) == before) << "written to after the reset";
    ASSERT_EQ(transport().TakeUsedBufferInterrupts(), 0);
    ring = EnableQueue(256, kRings);
  }
  over = true;
  other.join();
  EXPECT_EQ(GetBytes(*ring, 16).len, 16u);
  EXPECT_EQ(transport().Status(), 15);
}

TEST_P(RingResetTrafficTest, RingThatBrokeNeedsMoreThanItsReset) {
  Negotiate();
  std::unique_ptr<FakeDriver> ring = EnableQueue(16, kRings);
  transport().DriverOk();
  transport().WriteQueueReset(1);
  // Bad input A.8: at the end of the address space.
  transport().WriteQueueSize(16);
  transport().WriteQueueArea(QueueArea::kDescriptor, 0xfffffffffffffff0);
  transport().WriteQueueEnable(1);
  EXPECT_EQ(transport().Status(), 15 | kStatusDeviceNeedsReset);
  transport().WriteQueueReset(1);
  EXPECT_EQ(transport().QueueEnable(), 0u);
  EXPECT_EQ(transport().Status(), 15 | kStatusDeviceNeedsReset);
  ring = EnableQueue(16, kRings);
  EXPECT_EQ(transport().QueueEnable(), 0u);

  Negotiate();
  ring = EnableQueue(16, kRings);
  transport().DriverOk();
  EXPECT_EQ(GetBytes(*ring, 16).len, 16u);
}

}  // namespace
}  // namespace annulus::virtio
