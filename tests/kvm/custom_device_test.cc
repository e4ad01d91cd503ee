// Devices of the embedder's own, in the machine and out of it. What a guest
// sees of one is tested with examples/custom_device.cc.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/fake_device.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using virtio::FakeDevice;
using virtio::FeatureSet;

// A FakeDevice that says when it goes.
class MortalDevice final : public virtio::VirtioDevice {
 public:
  explicit MortalDevice(std::atomic<int>& gone) : gone_(gone) {}
  ~MortalDevice() override { ++gone_; }

  uint32_t device_id() const override { return fake_.device_id(); }
  FeatureSet offered_features() const override {
    return fake_.offered_features();
  }
  absl::Span<const uint16_t> max_queue_sizes() const override {
    return fake_.max_queue_sizes();
  }
  bool AcceptFeatures(const FeatureSet&) const override { return true; }
  uint32_t config_size() const override { return 0; }
  void ReadConfig(uint32_t, absl::Span<uint8_t>) const override {}
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override { return 0; }
  void Start(const FeatureSet&) override {}
  void StartQueue(uint16_t, const virtio::QueueResources&) override {}
  std::optional<virtio::QueueState> StopQueue(uint16_t) override {
    return std::nullopt;
  }
  void Reset() override {}

 private:
  std::atomic<int>& gone_;
  FakeDevice fake_;
};

void Add(Resources& resources, std::unique_ptr<virtio::VirtioDevice> device,
         TransportKind transport) {
  CustomDevice custom;
  custom.device = std::move(device);
  custom.virtio.transport = transport;
  resources.devices.push_back(std::move(custom));
}

absl::Status CreationOf(Resources resources) {
  return Vmm::Create(MicroguestConfig("hello"), std::move(resources)).status();
}

TEST(CustomDevicesTest, NinthOverMmioIsRefusedByItsPlace) {
  SKIP_WITHOUT_KVM();
  Resources resources = OpenMicroguest(kMicroguest);
  for (int i = 0; i < 9; ++i) {
    Add(resources, std::make_unique<FakeDevice>(), TransportKind::kMmio);
  }
  const absl::Status status = CreationOf(std::move(resources));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StartsWith(status.message(), "devices[8]: ")) << status;
}

TEST(CustomDevicesTest, MoreThanThePciBusHoldsAreRefused) {
  SKIP_WITHOUT_KVM();
  Resources resources = OpenMicroguest(kMicroguest);
  for (int i = 0; i < 32; ++i) {
    Add(resources, std::make_unique<FakeDevice>(), TransportKind::kPci);
  }
  const absl::Status status = CreationOf(std::move(resources));
  EXPECT_TRUE(absl::StartsWith(status.message(), "devices[31]: ")) << status;
}

TEST(CustomDevicesTest, ConfigurationThatNoTransportHoldsIsRefused) {
  SKIP_WITHOUT_KVM();
  for (const TransportKind transport :
       {TransportKind::kMmio, TransportKind::kPci}) {
    Resources resources = OpenMicroguest(kMicroguest);
    FakeDevice::Options options;
    options.config_size = 0x10000;
    Add(resources, std::make_unique<FakeDevice>(options), transport);
    const absl::Status status = CreationOf(std::move(resources));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StartsWith(status.message(), "devices[0]: ")) << status;
  }
}

TEST(CustomDevicesTest, NoDeviceIsRefused) {
  SKIP_WITHOUT_KVM();
  Resources resources = OpenMicroguest(kMicroguest);
  Add(resources, nullptr, TransportKind::kPci);
  EXPECT_EQ(CreationOf(std::move(resources)).message(),
            "devices[0]: there is no device");
}

TEST(CustomDevicesTest, GoesWithTheVmAndWithOneThatCannotBeMade) {
  SKIP_WITHOUT_KVM();
  std::atomic<int> gone = 0;
  Resources resources = OpenMicroguest(kMicroguest);
  Add(resources, std::make_unique<MortalDevice>(gone), TransportKind::kPci);
  Add(resources, std::make_unique<MortalDevice>(gone), TransportKind::kMmio);
  {
    auto vm = Vmm::Create(MicroguestConfig("hello"), std::move(resources));
    ASSERT_TRUE(vm.ok()) << vm.status();
    EXPECT_EQ(gone, 0);
    ASSERT_TRUE((*vm)->Start().ok());
    (*vm)->Wait();
  }
  EXPECT_EQ(gone, 2);
  Resources failing = OpenMicroguest(kMicroguest);
  failing.kernel.reset();
  Add(failing, std::make_unique<MortalDevice>(gone), TransportKind::kPci);
  EXPECT_FALSE(CreationOf(std::move(failing)).ok());
  EXPECT_EQ(gone, 3);
}

}  // namespace
}  // namespace annulus
