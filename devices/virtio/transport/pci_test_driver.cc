#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/bus_device.h"
#include "devices/pci/config_registers.h"
#include "devices/pci/fake_machine.h"
#include "devices/pci/host_bridge.h"
#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/pci_transport.h"
#include "devices/virtio/transport/register_bytes.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/test_memory.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kFunction = 1 << 15;  // 00:01.0 in the ECAM window.

// Does as a driver and its operating system do: finds everything through
// configuration space, places the BAR, enables MSI-X.
class PciTestDriver final : public TestDriver {
 public:
  PciTestDriver(VirtioDevice& device, const TransportOptions& options) {
    auto transport = PciTransport::Create(device,
                                          {.memory = *memory_,
                                           .vectors = vectors_,
                                           .bars = mapper_,
                                           .notifications = registrar_},
                                          {}, options);
    ANNULUS_CHECK(transport.ok());
    transport_ = *std::move(transport);
    ANNULUS_CHECK(bridge_.AddFunction(1, *transport_).ok());
    WriteConfigSpace(pci::kConfigBar0, 4, pci::FakeBarMapper::kStart);
    WriteConfigSpace(pci::kConfigBar0 + 4, 4, 0);
    WriteConfigSpace(pci::kConfigCommand, 2,
                     pci::kCommandMemorySpace | pci::kCommandBusMaster);
    ANNULUS_CHECK(mapper_.device() != nullptr);
    FindStructures();
    EnableMsix();
  }

  uint8_t Status() override {
    return static_cast<uint8_t>(Get(kStatusField, 1));
  }
  void WriteStatus(uint8_t status) override { Set(kStatusField, 1, status); }
  uint32_t DeviceFeatures(uint32_t page) override {
    Set(offsetof(PciCommonCfg, device_feature_select), 4, page);
    return Get(offsetof(PciCommonCfg, device_feature), 4);
  }
  void WriteDriverFeatures(uint32_t page, uint32_t bits) override {
    Set(offsetof(PciCommonCfg, driver_feature_select), 4, page);
    Set(offsetof(PciCommonCfg, driver_feature), 4, bits);
  }
  void SelectQueue(uint16_t queue) override {
    Set(offsetof(PciCommonCfg, queue_select), 2, queue);
  }
  uint32_t QueueSize() override {
    return Get(offsetof(PciCommonCfg, queue_size), 2);
  }
  void WriteQueueSize(uint16_t size) override {
    Set(offsetof(PciCommonCfg, queue_size), 2, size);
  }
  void WriteQueueArea(QueueArea area, uint64_t address) override {
    const uint32_t low =
        offsetof(PciCommonCfg, queue_desc) + 8 * static_cast<uint32_t>(area);
    Set(low, 4, static_cast<uint32_t>(address));
    Set(low + 4, 4, static_cast<uint32_t>(address >> 32));
  }
  // Maps the vectors first, as drivers do: 0 for the configuration, then one
  // for each queue.
  void WriteQueueEnable(uint16_t value) override {
    Set(offsetof(PciCommonCfg, config_msix_vector), 2, 0);
    const uint32_t queue = Get(offsetof(PciCommonCfg, queue_select), 2);
    Set(offsetof(PciCommonCfg, queue_msix_vector), 2, queue + 1);
    Set(offsetof(PciCommonCfg, queue_enable), 2, value);
  }
  uint32_t QueueEnable() override {
    return Get(offsetof(PciCommonCfg, queue_enable), 2);
  }
  void WriteQueueReset(uint16_t value) override {
    Set(offsetof(PciCommonCfg, queue_reset), 2, value);
  }
  uint32_t QueueReset() override {
    return Get(offsetof(PciCommonCfg, queue_reset), 2);
  }
  void NotifyWithData(uint32_t queue, uint32_t data) override {
    uint8_t bytes[4];
    StoreRegister(data, absl::MakeSpan(bytes));
    mapper_.device()->Write(notify_ + uint64_t{queue} * notify_off_multiplier_,
                            bytes);
  }
  bool Bound(uint32_t queue, uint32_t /*data*/) override {
    const uint64_t address = pci::FakeBarMapper::kStart + notify_ +
                             uint64_t{queue} * notify_off_multiplier_;
    return registrar_.Find(address, 0, std::nullopt) ==
           transport_->state().notification(static_cast<uint16_t>(queue)).fd();
  }
  void Notify(uint32_t queue) override {
    const uint8_t data[2] = {static_cast<uint8_t>(queue),
                             static_cast<uint8_t>(queue >> 8)};
    mapper_.device()->Write(notify_ + uint64_t{queue} * notify_off_multiplier_,
                            data);
  }
  uint32_t Generation() override {
    return Get(offsetof(PciCommonCfg, config_generation), 1);
  }
  std::vector<uint8_t> ReadConfig(uint32_t offset, size_t size) override {
    std::vector<uint8_t> data(size);
    mapper_.device()->Read(device_ + offset, absl::MakeSpan(data));
    return data;
  }
  void WriteConfig(uint32_t offset, std::vector<uint8_t> data) override {
    mapper_.device()->Write(device_ + offset, data);
  }
  const memory::GuestMemory& memory() const override { return *memory_; }
  int TakeUsedBufferInterrupts() override {
    int count = 0;
    for (size_t i = 1; i < vectors_.size(); ++i) {
      count += vectors_.vector(i).Take();
    }
    return count;
  }
  int TakeConfigurationInterrupts() override {
    return vectors_.vector(0).Take();
  }

 private:
  static constexpr uint32_t kStatusField =
      offsetof(PciCommonCfg, device_status);

  uint32_t ReadConfigSpace(uint32_t offset, size_t width) {
    uint8_t data[4];
    bridge_.ecam().Read(kFunction + offset, absl::MakeSpan(data).first(width));
    return LoadRegister(absl::MakeConstSpan(data).first(width));
  }
  void WriteConfigSpace(uint32_t offset, size_t width, uint32_t value) {
    uint8_t data[4];
    StoreRegister(value, absl::MakeSpan(data));
    bridge_.ecam().Write(kFunction + offset,
                         absl::MakeConstSpan(data).first(width));
  }

  void FindStructures() {
    uint32_t offset = ReadConfigSpace(pci::kConfigCapabilitiesPointer, 1);
    for (; offset != 0; offset = ReadConfigSpace(offset + 1, 1)) {
      const uint32_t id = ReadConfigSpace(offset, 1);
      if (id == pci::kCapabilityMsix) msix_ = offset;
      if (id != pci::kCapabilityVendorSpecific) continue;
      const uint32_t type =
          ReadConfigSpace(offset + offsetof(PciCap, cfg_type), 1);
      const uint32_t start =
          ReadConfigSpace(offset + offsetof(PciCap, offset), 4);
      if (type == kPciCapCommonCfg) common_ = start;
      if (type == kPciCapDeviceCfg) device_ = start;
      if (type != kPciCapNotifyCfg) continue;
      notify_ = start;
      notify_off_multiplier_ = ReadConfigSpace(
          offset + offsetof(PciNotifyCap, notify_off_multiplier), 4);
    }
  }

  void EnableMsix() {
    const uint32_t control = ReadConfigSpace(msix_ + 2, 2);
    const uint32_t table = ReadConfigSpace(msix_ + 4, 4) & ~7u;
    WriteConfigSpace(msix_ + 2, 2,
                     control | pci::kMsixEnable | pci::kMsixFunctionMask);
    for (uint32_t i = 0; i <= (control & 0x7ff); ++i) {
      const uint32_t words[4] = {0xfee00000, 0, 0x4000 + i, 0};
      for (uint32_t word = 0; word < 4; ++word) {
        uint8_t data[4];
        StoreRegister(words[word], absl::MakeSpan(data));
        mapper_.device()->Write(table + 16 * i + 4 * word, data);
      }
    }
    WriteConfigSpace(msix_ + 2, 2, control | pci::kMsixEnable);
  }

  uint32_t Get(uint32_t field, size_t width) {
    uint8_t data[4];
    mapper_.device()->Read(common_ + field, absl::MakeSpan(data).first(width));
    return LoadRegister(absl::MakeConstSpan(data).first(width));
  }
  void Set(uint32_t field, size_t width, uint32_t value) {
    uint8_t data[4];
    StoreRegister(value, absl::MakeSpan(data));
    mapper_.device()->Write(common_ + field,
                            absl::MakeConstSpan(data).first(width));
  }

  TestMemory memory_;
  pci::FakeMsiVectorFactory vectors_;
  pci::FakeBarMapper mapper_;
  FakeRegistrar registrar_;
  pci::HostBridge bridge_;
  std::unique_ptr<PciTransport> transport_;
  uint32_t common_ = 0;
  uint32_t device_ = 0;
  uint32_t notify_ = 0;
  uint32_t notify_off_multiplier_ = 0;
  uint32_t msix_ = 0;
};

}  // namespace

std::unique_ptr<TestDriver> MakePciTestDriver(VirtioDevice& device,
                                              const TransportOptions& options) {
  return std::make_unique<PciTestDriver>(device, options);
}

}  // namespace annulus::virtio
