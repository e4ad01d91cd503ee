#ifndef DEVICES_VIRTIO_TRANSPORT_RNG_FIXTURE_H_
#define DEVICES_VIRTIO_TRANSPORT_RNG_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "base/log_sink.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/transport_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {

using MakeDriver = std::unique_ptr<TestDriver> (*)(
    VirtioDevice& device, const TransportOptions& options);

// The entropy device with its worker behind a transport, and a driver whose
// ring, split or packed, is in the guest RAM that the device was given.
class RngTest : public ::testing::TestWithParam<std::tuple<MakeDriver, bool>> {
 protected:
  RngTest()
      : device_(*RngDevice::Create({}, NullLogSink())),
        transport_(std::get<0>(GetParam())(*device_, {})) {}

  bool packed() const { return std::get<1>(GetParam()); }
  TestDriver& transport() { return *transport_; }

  // Up to FEATURES_OK, with `features` and those of the rings.
  void Negotiate(FeatureSet features) {
    for (const uint32_t bit :
         {kFeatureVersion1, kFeatureEventIdx, kFeatureIndirectDesc}) {
      features.Add(bit);
    }
    if (packed()) features.Add(kFeatureRingPacked);
    transport().Negotiate(features);
  }

  // Enables queue 0 on a new ring; `options.packed` is ignored.
  std::unique_ptr<FakeDriver> EnableQueue(FakeDriverOptions options) {
    options.packed = packed();
    auto ring = std::make_unique<FakeDriver>(transport().memory(), options);
    const QueueConfig& config = ring->config();
    transport().SelectQueue(0);
    transport().WriteQueueSize(config.size);
    transport().WriteQueueArea(QueueArea::kDescriptor,
                               config.descriptor.value());
    transport().WriteQueueArea(QueueArea::kDriver, config.driver.value());
    transport().WriteQueueArea(QueueArea::kDevice, config.device.value());
    transport().WriteQueueEnable(1);
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

// Both transports, both kinds of ring.
inline auto EveryRngTest() {
  return ::testing::Combine(
      ::testing::Values(&MakeMmioTestDriver, &MakePciTestDriver),
      ::testing::Bool());
}

inline std::string RngTestName(
    const ::testing::TestParamInfo<RngTest::ParamType>& info) {
  return std::string(info.index < 2 ? "Mmio" : "Pci") +
         (std::get<1>(info.param) ? "Packed" : "Split");
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_RNG_FIXTURE_H_
