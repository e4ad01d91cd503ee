#include "devices/virtio/rng/rng_device.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/rng/entropy_source.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

// Each byte is the count of bytes before it, so that a test can tell which ones
// it got.
class CountingSource final : public EntropySource {
 public:
  bool Fill(absl::Span<uint8_t> out) override {
    if (fails) return false;
    for (uint8_t& byte : out) byte = next_++;
    return true;
  }
  std::atomic<bool> fails{false};

 private:
  uint8_t next_ = 0;
};

class EventFdInterrupt final : public Interrupt {
 public:
  void Trigger() override { event.Signal(); }
  void Wait() {
    pollfd fd = {.fd = event.fd(), .events = POLLIN, .revents = 0};
    ::poll(&fd, 1, -1);
    event.Drain();
  }
  EventFd event = EventFd::Create().value();
};

class RecordingHost final : public DeviceHost {
 public:
  void ConfigChanged() override {}
  void NeedsReset() override {
    ++resets;
    event.Signal();
  }
  void WaitForNeedsReset() {
    pollfd fd = {.fd = event.fd(), .events = POLLIN, .revents = 0};
    ::poll(&fd, 1, -1);
  }
  std::atomic<int> resets{0};
  EventFd event = EventFd::Create().value();
};

// Over packed, event_idx, indirect, in_order.
class RngDeviceTest
    : public testing::TestWithParam<std::tuple<bool, bool, bool, bool>> {
 protected:
  FakeDriverOptions DriverOptions(uint16_t size) const {
    return {.packed = std::get<0>(GetParam()),
            .event_idx = std::get<1>(GetParam()),
            .indirect = std::get<2>(GetParam()),
            .in_order = std::get<3>(GetParam()),
            .size = size};
  }

  void Begin(uint16_t size) {
    Prepare(size);
    Run();
  }
  void Prepare(uint16_t size) {
    driver_ = std::make_unique<FakeDriver>(memory_, DriverOptions(size));
  }
  void Run() {
    device_->Start(driver_->config().features);
    device_->StartQueue(0, {.config = driver_->config(),
                            .memory = &memory_,
                            .notification = &notification_,
                            .interrupt = &interrupt_,
                            .host = &host_});
  }

  void Notify() {
    if (driver_->NeedsNotification()) notification_.Signal();
  }

  // Waits as a driver does: for the device's interrupt, and no time.
  FakeDriver::Used WaitForUsed() {
    while (true) {
      if (std::optional<FakeDriver::Used> used = driver_->GetUsed()) {
        return *used;
      }
      if (!driver_->EnableCallbacks()) interrupt_.Wait();
      driver_->DisableCallbacks();
    }
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  CountingSource source_;
  EventFd notification_ = EventFd::Create().value();
  EventFdInterrupt interrupt_;
  RecordingHost host_;
  std::unique_ptr<FakeDriver> driver_;
  std::unique_ptr<RngDevice> device_ =
      RngDevice::Create({.source = &source_}, NullLogSink()).value();
};

TEST_P(RngDeviceTest, WritableElementsAreFilledInOrder) {
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Writable(3).Writable(5).Offer().has_value());
  Notify();
  const FakeDriver::Used used = WaitForUsed();
  EXPECT_EQ(used.len, 8u);
  EXPECT_EQ(used.data, std::string("\0\1\2\3\4\5\6\7", 8));
}

TEST_P(RngDeviceTest, ElementsLongerThanAPieceAreFilledToTheEnd) {
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Writable(5000).Writable(9000).Offer());
  Notify();
  const FakeDriver::Used used = WaitForUsed();
  ASSERT_EQ(used.len, 14000u);
  for (size_t i = 0; i < used.data.size(); ++i) {
    ASSERT_EQ(static_cast<uint8_t>(used.data[i]), i % 256) << i;
  }
}

// bad_inputs 24: "rng length unbounded FC #5762".
TEST_P(RngDeviceTest, HugeBufferIsFilledOnlyUpToTheBound) {
  Begin(16);
  const uint32_t huge = RngDevice::kMaxBytesPerChain + 4097;
  ASSERT_TRUE(driver_->Chain().Writable(huge).Offer());
  Notify();
  const FakeDriver::Used used = WaitForUsed();
  EXPECT_EQ(used.len, RngDevice::kMaxBytesPerChain);
  EXPECT_EQ(used.writable_bytes, huge);
}

// "The driver MUST NOT place device-readable buffers into the queue."
// (§5.4.6.1)
TEST_P(RngDeviceTest, ReadableElementsAreIgnored) {
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Readable("keep me").Writable(4).Offer());
  Notify();
  const FakeDriver::Used used = WaitForUsed();
  EXPECT_EQ(used.data, std::string("\0\1\2\3", 4));
  EXPECT_EQ(host_.resets, 0);
}

// bad_inputs 22.
TEST_P(RngDeviceTest, BufferWithoutWritableBytesComesBackWithLengthZero) {
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Readable("read only").Offer());
  ASSERT_TRUE(driver_->Chain().Writable(0).Offer());
  Notify();
  EXPECT_EQ(WaitForUsed().len, 0u);
  EXPECT_EQ(WaitForUsed().len, 0u);
  EXPECT_EQ(host_.resets, 0);
}

TEST_P(RngDeviceTest, HostWithoutEntropyGivesLengthZeroAndNoOldBytes) {
  source_.fails = true;
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Writable(64).Offer());
  Notify();
  EXPECT_EQ(WaitForUsed().len, 0u);
  EXPECT_EQ(device_->entropy_failures(), 1u);
  source_.fails = false;
  ASSERT_TRUE(driver_->Chain().Writable(64).Offer());
  Notify();
  EXPECT_EQ(WaitForUsed().len, 64u);
}

// Counts, not times: the test ends when the last of all buffers is back, and
// hangs if one wake-up of either side is lost.
TEST_P(RngDeviceTest, NoWakeUpIsLostOverManyBuffers) {
  constexpr int kBuffers = 50'000;
  // Odd where the format allows it, and small, so that both sides sleep often.
  Begin(std::get<0>(GetParam()) ? 7 : 8);
  int offered = 0;
  uint64_t bytes = 0;
  for (int returned = 0; returned < kBuffers;) {
    for (int batch = 1 + offered % 5; batch > 0 && offered < kBuffers;
         --batch) {
      auto chain = driver_->Chain();
      chain.Writable(1);
      if (offered % 3 == 0) chain.Writable(2);
      if (!chain.Offer().has_value()) break;
      bytes += offered % 3 == 0 ? 3 : 1;
      ++offered;
    }
    Notify();
    const FakeDriver::Used used = WaitForUsed();
    ASSERT_EQ(used.len, used.writable_bytes);
    bytes -= used.len;
    ++returned;
  }
  EXPECT_EQ(bytes, 0u);
  EXPECT_FALSE(driver_->broken());
  EXPECT_EQ(device_->violations(), 0u);
}

TEST_P(RngDeviceTest, ResetInTheMiddleOfABurstIsFollowedByAFreshStart) {
  for (int i = 0; i < 20; ++i) {
    Begin(64);
    while (driver_->Chain().Writable(100).Offer().has_value()) {
    }
    Notify();
    device_->Reset();
    EXPECT_FALSE(driver_->broken());
  }
  Begin(64);
  ASSERT_TRUE(driver_->Chain().Writable(8).Offer());
  Notify();
  EXPECT_EQ(WaitForUsed().len, 8u);
}

TEST_P(RngDeviceTest, BrokenQueueNeedsResetAndThenWorksAgain) {
  Prepare(16);
  // A legal head, then an element far outside of guest RAM.
  ASSERT_TRUE(driver_->Chain().Writable(8).Offer());
  const uint8_t addr[] = {0, 0, 0, 0, 0, 0, 0, 0x80};
  ASSERT_TRUE(memory_.Write(driver_->config().descriptor, addr));
  Run();
  host_.WaitForNeedsReset();
  EXPECT_EQ(host_.resets, 1);
  device_->Reset();
  EXPECT_EQ(device_->violations(), 1u);
  Begin(16);
  ASSERT_TRUE(driver_->Chain().Writable(8).Offer());
  Notify();
  EXPECT_EQ(WaitForUsed().len, 8u);
}

INSTANTIATE_TEST_SUITE_P(Rings, RngDeviceTest,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Bool(), testing::Bool()));

TEST(RngDeviceOptionsTest, OffersWhatTheOptionsSay) {
  const auto all = RngDevice::Create({}, NullLogSink()).value();
  EXPECT_EQ(all->device_id(), 4u);
  EXPECT_EQ(
      all->offered_features(),
      FeatureSet::Of(kFeatureVersion1, kFeatureRingPacked, kFeatureEventIdx,
                     kFeatureIndirectDesc, kFeatureInOrder));
  EXPECT_EQ(all->max_queue_sizes().size(), 1u);
  EXPECT_EQ(all->config_size(), 0u);
  const auto none = RngDevice::Create({.packed = false,
                                       .event_idx = false,
                                       .indirect_desc = false,
                                       .in_order = false},
                                      NullLogSink());
  EXPECT_EQ((*none)->offered_features(), FeatureSet::Of(kFeatureVersion1));
}

TEST(RngDeviceOptionsTest, OtherQueueIndicesAreNoOps) {
  const auto device = RngDevice::Create({}, NullLogSink()).value();
  device->StopQueue(0);
  device->StopQueue(1);
  device->StopQueue(65535);
  device->Reset();
}

TEST(HostEntropySourceTest, BytesAreNotAllTheSame) {
  uint8_t bytes[64] = {};
  ASSERT_TRUE(HostEntropySource().Fill(absl::MakeSpan(bytes)));
  EXPECT_NE(std::count(std::begin(bytes), std::end(bytes), bytes[0]), 64);
}

}  // namespace
}  // namespace annulus::virtio
