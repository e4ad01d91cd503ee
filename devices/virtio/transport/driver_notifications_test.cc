// VIRTIO_F_NOTIFICATION_DATA, virtio 1.4 §2.9 "Driver Notifications", over each
// transport.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/event_fd.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/notification_data.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/transport_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

struct Transport {
  const char* name;
  std::unique_ptr<TestDriver> (*make)(VirtioDevice& device,
                                      const TransportOptions& options);
};

class DriverNotificationsTest : public ::testing::TestWithParam<Transport> {
 protected:
  DriverNotificationsTest() { Make({256, 64}); }

  void Make(std::vector<uint16_t> queue_sizes) {
    driver_.reset();
    device_ = std::make_unique<FakeDevice>(
        FakeDevice::Options{.queue_sizes = std::move(queue_sizes)});
    driver_ = GetParam().make(*device_, {});
  }
  FakeDevice& device() { return *device_; }
  TestDriver& driver() { return *driver_; }

  void Start(const FeatureSet& features) {
    driver().Negotiate(features);
    driver().SetUpQueue(0, 16);
    driver().SetUpQueue(1, 16);
    driver().DriverOk();
  }
  void StartWithData() {
    Start(FeatureSet::Of(kFeatureVersion1, kFeatureNotificationData));
  }
  bool Notified(uint16_t queue) {
    return device().queue(queue)->notification->Drain();
  }

 private:
  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<TestDriver> driver_;
};

INSTANTIATE_TEST_SUITE_P(
    All, DriverNotificationsTest,
    ::testing::Values(Transport{"Mmio", &MakeMmioTestDriver},
                      Transport{"Pci", &MakePciTestDriver}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(DriverNotificationsTest, DataReachTheQueueThatTheyName) {
  StartWithData();
  for (const uint16_t queue : {0, 1, 0}) {
    for (const uint16_t next_off : {0, 1, 15, 16, 0x7fff}) {
      for (const bool next_wrap : {false, true}) {
        driver().NotifyWithData(
            queue, EncodeNotificationData({.vq_index = queue,
                                           .next_off = next_off,
                                           .next_wrap = next_wrap}));
        EXPECT_TRUE(Notified(queue)) << next_off;
        EXPECT_FALSE(Notified(queue == 0 ? 1 : 0)) << next_off;
      }
    }
  }
  EXPECT_EQ(driver().Status(), 15);
}

TEST_P(DriverNotificationsTest, DataOfQueueThatDoesNotExistAreIgnored) {
  StartWithData();
  for (const uint32_t queue : {2u, 3u, 255u, 256u, 1023u}) {
    for (const uint32_t rest : {0u, 0x00010000u, 0x80000000u, 0xffff0000u}) {
      driver().NotifyWithData(queue, queue | rest);
    }
  }
  EXPECT_FALSE(Notified(0));
  EXPECT_FALSE(Notified(1));
  EXPECT_EQ(driver().Status(), 15);
}

TEST_P(DriverNotificationsTest, DataOfQueueThatIsNotEnabledAreIgnored) {
  driver().Negotiate(
      FeatureSet::Of(kFeatureVersion1, kFeatureNotificationData));
  driver().SetUpQueue(0, 16);
  driver().DriverOk();
  driver().NotifyWithData(1, 1 | 5 << 16);
  driver().SetUpQueue(1, 16);
  EXPECT_FALSE(Notified(0));
  EXPECT_FALSE(Notified(1));
}

// Nobody reads next_off: an index that the ring cannot have does no harm.
TEST_P(DriverNotificationsTest, DataThatLieAreJustANotification) {
  StartWithData();
  for (int i = 0; i < 16; ++i) driver().NotifyWithData(1, 0xffff0001);
  EXPECT_TRUE(Notified(1));
  EXPECT_FALSE(Notified(1));
  EXPECT_EQ(driver().Status(), 15);
}

TEST_P(DriverNotificationsTest, FeatureEndsWithDeviceReset) {
  StartWithData();
  Start(FeatureSet::Of(kFeatureVersion1));
  driver().Notify(1);
  EXPECT_TRUE(Notified(1));
  EXPECT_FALSE(Notified(0));
}

// What KVM would do without an exit: nothing for the wrong queue ever.
TEST_P(DriverNotificationsTest, StoresAreBoundToTheirOwnQueueOnly) {
  StartWithData();
  for (const uint32_t queue : {0u, 1u}) {
    EXPECT_TRUE(driver().Bound(queue, queue));
  }
  const bool pci = std::string(GetParam().name) == "Pci";
  EXPECT_EQ(driver().Bound(1, 1 | 7 << 16), pci);
  EXPECT_EQ(driver().Bound(0, 1), pci) << "whose address says it";
  Make({16});
  EXPECT_TRUE(driver().Bound(0, 7 << 16)) << "no exit where one queue is all";
}

// Another process that has the eventfd, too, can fill it up and make it block.
// The register would hang here, and the vCPU with it.
TEST_P(DriverNotificationsTest, FullEventfdOfAnotherProcessHoldsNoVcpuUp) {
  FakeDevice device(FakeDevice::Options{.queue_sizes = {256}});
  const auto driver = GetParam().make(device, {.shared_notifications = true});
  driver->Initialize();
  const EventFd& notification = *device.queue(0)->notification;
  driver->Notify(0);
  EXPECT_EQ(notification.Drain(), 1u);
  const uint64_t most = UINT64_MAX - 1;
  ASSERT_EQ(::write(notification.fd(), &most, sizeof(most)),
            ssize_t{sizeof(most)});
  ASSERT_EQ(::fcntl(notification.fd(), F_SETFL, 0), 0);
  for (int i = 0; i < 3; ++i) driver->Notify(0);
  EXPECT_EQ(notification.Drain(), UINT64_MAX);
}

}  // namespace
}  // namespace annulus::virtio
