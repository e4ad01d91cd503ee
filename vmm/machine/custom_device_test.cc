#include "vmm/machine/custom_device.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/fake_device.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

using virtio::FakeDevice;

CustomDevice Custom(FakeDevice::Options options = FakeDevice::Options()) {
  CustomDevice custom;
  custom.device = std::make_unique<FakeDevice>(std::move(options));
  return custom;
}

void ExpectRefused(const CustomDevice& custom, const std::string& why) {
  const absl::Status status = CheckCustomDevice(custom);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), why)) << status;
}

TEST(CustomDeviceTest, ProperDeviceIsAccepted) {
  EXPECT_TRUE(CheckCustomDevice(Custom()).ok());
}

TEST(CustomDeviceTest, DeviceThatIsNotThereIsRefused) {
  ExpectRefused(CustomDevice(), "no device");
}

TEST(CustomDeviceTest, NameIsThereAndNotTooLong) {
  CustomDevice custom = Custom();
  custom.name = "";
  ExpectRefused(custom, "name: ");
  custom.name = std::string(33, 'x');
  ExpectRefused(custom, "name: ");
}

TEST(CustomDeviceTest, DeviceNoDriverCouldUseIsRefused) {
  FakeDevice::Options options;
  options.features = virtio::FeatureSet::Of(virtio::kFeatureEventIdx);
  ExpectRefused(Custom(options), "VIRTIO_F_VERSION_1");
}

TEST(CustomDeviceTest, QueueSizesArePowersOfTwo) {
  for (const uint16_t size : {0, 3, 32769}) {
    FakeDevice::Options options;
    options.queue_sizes = {256, size};
    ExpectRefused(Custom(options), "queue 1: ");
  }
}

}  // namespace
}  // namespace annulus
