// The entropy device end to end: a driver that finds it, negotiates, fills a
// ring in guest RAM and gets bytes and an interrupt, over each transport.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/rng_fixture.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class RngOverTransportsTest : public RngTest {
 protected:
  void Negotiate() { RngTest::Negotiate(FeatureSet()); }
  std::unique_ptr<FakeDriver> Start() {
    Negotiate();
    std::unique_ptr<FakeDriver> ring = EnableQueue({});
    transport().DriverOk();
    return ring;
  }
};

INSTANTIATE_TEST_SUITE_P(All, RngOverTransportsTest, EveryRngTest(),
                         RngTestName);

TEST_P(RngOverTransportsTest, DriverGetsBytesAndAnInterrupt) {
  const std::unique_ptr<FakeDriver> ring = Start();
  ASSERT_EQ(transport().Status(), 15);
  const FakeDriver::Used used = GetBytes(*ring, 64);
  EXPECT_EQ(used.len, 64u);
  // What FakeDriver put there; random bytes are that with a chance of 2^-512.
  EXPECT_NE(used.data, std::string(64, '\xee'));
  while (transport().TakeUsedBufferInterrupts() == 0) std::this_thread::yield();
  EXPECT_FALSE(ring->broken());
}

TEST_P(RngOverTransportsTest, DeviceWorksAgainAfterEachReset) {
  for (int i = 0; i < 5; ++i) {
    const std::unique_ptr<FakeDriver> ring = Start();
    for (int j = 0; j < 3; ++j) EXPECT_EQ(GetBytes(*ring, 16).len, 16u);
    // Bad input A.9: reset while a buffer is on its way.
    ASSERT_TRUE(ring->Chain().Writable(16).Offer().has_value());
    transport().Notify(0);
    transport().WriteStatus(0);
    EXPECT_EQ(transport().Status(), 0);
  }
}

// Bad input A.8.
TEST_P(RngOverTransportsTest, RingOutsideGuestRamNeedsReset) {
  for (const uint64_t address :
       {uint64_t{0x100000}, uint64_t{0xfffff0}, uint64_t{0xd0000000},
        uint64_t{0xfffffffffffffff0}, uint64_t{0xff8}, uint64_t{0x1001}}) {
    Negotiate();
    transport().SelectQueue(0);
    transport().WriteQueueSize(256);
    transport().WriteQueueArea(QueueArea::kDescriptor, address);
    transport().WriteQueueArea(QueueArea::kDriver, 0x4000);
    transport().WriteQueueArea(QueueArea::kDevice, 0x6000);
    transport().WriteQueueEnable(1);
    transport().DriverOk();
    EXPECT_EQ(transport().Status(), 15 | kStatusDeviceNeedsReset) << address;
    EXPECT_EQ(transport().TakeConfigurationInterrupts(), 1) << address;
  }
  EXPECT_EQ(GetBytes(*Start(), 16).len, 16u);
}

}  // namespace
}  // namespace annulus::virtio
