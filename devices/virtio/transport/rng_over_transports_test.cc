// The entropy device end to end: a driver that finds it, negotiates, fills a
// ring in guest RAM and gets bytes and an interrupt, over each transport.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/test_driver.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using MakeDriver = std::unique_ptr<TestDriver> (*)(VirtioDevice& device);

class RngOverTransportsTest
    : public ::testing::TestWithParam<std::tuple<MakeDriver, bool>> {
 protected:
  RngOverTransportsTest()
      : device_(*RngDevice::Create({}, NullLogSink())),
        transport_(std::get<0>(GetParam())(*device_)) {}

  bool packed() const { return std::get<1>(GetParam()); }
  TestDriver& transport() { return *transport_; }

  void Negotiate() {
    FeatureSet features = FeatureSet::Of(kFeatureVersion1, kFeatureEventIdx,
                                         kFeatureIndirectDesc);
    if (packed()) features.Add(kFeatureRingPacked);
    transport().Negotiate(features);
  }
  // With a ring of its own on the same guest RAM.
  std::unique_ptr<FakeDriver> Start() {
    Negotiate();
    auto ring = std::make_unique<FakeDriver>(
        transport().memory(), FakeDriverOptions{.packed = packed()});
    const QueueConfig& config = ring->config();
    transport().SelectQueue(0);
    transport().WriteQueueSize(config.size);
    transport().WriteQueueArea(QueueArea::kDescriptor,
                               config.descriptor.value());
    transport().WriteQueueArea(QueueArea::kDriver, config.driver.value());
    transport().WriteQueueArea(QueueArea::kDevice, config.device.value());
    transport().WriteQueueEnable(1);
    transport().DriverOk();
    return ring;
  }
  // Waits for the worker; a test that hangs here has failed.
  FakeDriver::Used GetBytes(FakeDriver& ring, uint32_t bytes) {
    EXPECT_TRUE(ring.Chain().Writable(bytes).Offer().has_value());
    if (ring.NeedsNotification()) transport().Notify(0);
    while (!ring.HasUsed()) std::this_thread::yield();
    return *ring.GetUsed();
  }

 private:
  std::unique_ptr<RngDevice> device_;
  std::unique_ptr<TestDriver> transport_;
};

INSTANTIATE_TEST_SUITE_P(
    All, RngOverTransportsTest,
    ::testing::Combine(::testing::Values(&MakeMmioTestDriver,
                                         &MakePciTestDriver),
                       ::testing::Bool()),
    [](const auto& info) {
      return std::string(info.index < 2 ? "Mmio" : "Pci") +
             (std::get<1>(info.param) ? "Packed" : "Split");
    });

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
