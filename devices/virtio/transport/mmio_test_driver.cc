#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/mmio_transport.h"
#include "devices/virtio/transport/register_bytes.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/test_memory.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

class MmioTestDriver final : public TestDriver {
 public:
  explicit MmioTestDriver(VirtioDevice& device) {
    auto transport = MmioTransport::Create(device, *memory_, line_, registrar_,
                                           memory::GuestAddress(0xd0000000));
    ANNULUS_CHECK(transport.ok());
    transport_ = *std::move(transport);
  }

  uint8_t Status() override { return static_cast<uint8_t>(Get(kMmioStatus)); }
  void WriteStatus(uint8_t status) override { Set(kMmioStatus, status); }
  uint32_t DeviceFeatures(uint32_t page) override {
    Set(kMmioDeviceFeaturesSel, page);
    return Get(kMmioDeviceFeatures);
  }
  void WriteDriverFeatures(uint32_t page, uint32_t bits) override {
    Set(kMmioDriverFeaturesSel, page);
    Set(kMmioDriverFeatures, bits);
  }
  void SelectQueue(uint16_t queue) override { Set(kMmioQueueSel, queue); }
  uint32_t QueueSize() override { return Get(kMmioQueueSizeMax); }
  void WriteQueueSize(uint16_t size) override { Set(kMmioQueueSize, size); }
  void WriteQueueArea(QueueArea area, uint64_t address) override {
    const uint32_t low = kMmioQueueDescLow + 0x10 * static_cast<uint32_t>(area);
    Set(low, static_cast<uint32_t>(address));
    Set(low + 4, static_cast<uint32_t>(address >> 32));
  }
  void WriteQueueEnable(uint16_t value) override {
    Set(kMmioQueueReady, value);
  }
  uint32_t QueueEnable() override { return Get(kMmioQueueReady); }
  void Notify(uint32_t queue) override { Set(kMmioQueueNotify, queue); }
  uint32_t Generation() override { return Get(kMmioConfigGeneration); }
  std::vector<uint8_t> ReadConfig(uint32_t offset, size_t size) override {
    std::vector<uint8_t> data(size);
    transport_->Read(kMmioConfig + offset, absl::MakeSpan(data));
    return data;
  }
  void WriteConfig(uint32_t offset, std::vector<uint8_t> data) override {
    transport_->Write(kMmioConfig + offset, data);
  }
  const memory::GuestMemory& memory() const override { return *memory_; }
  int TakeUsedBufferInterrupts() override {
    return Take(kMmioInterruptUsedBuffer);
  }
  int TakeConfigurationInterrupts() override {
    return Take(kMmioInterruptConfigurationChange);
  }

 private:
  uint32_t Get(uint32_t offset) {
    uint8_t data[4];
    transport_->Read(offset, absl::MakeSpan(data));
    return LoadRegister(data);
  }
  void Set(uint32_t offset, uint32_t value) {
    uint8_t data[4];
    StoreRegister(value, absl::MakeSpan(data));
    transport_->Write(offset, data);
  }
  // The line does not say why it was triggered; the status register does.
  int Take(uint32_t cause) {
    if ((Get(kMmioInterruptStatus) & cause) == 0) return 0;
    Set(kMmioInterruptAck, cause);
    return line_.Take();
  }

  TestMemory memory_;
  FakeInterrupt line_;
  FakeRegistrar registrar_;
  std::unique_ptr<MmioTransport> transport_;
};

}  // namespace

std::unique_ptr<TestDriver> MakeMmioTestDriver(VirtioDevice& device) {
  return std::make_unique<MmioTestDriver>(device);
}

}  // namespace annulus::virtio
