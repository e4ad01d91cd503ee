#include <algorithm>
#include <memory>
#include <optional>
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

constexpr uint64_t kBase = 0xd0000000;

class MmioTestDriver final : public TestDriver {
 public:
  MmioTestDriver(VirtioDevice& device, const TransportOptions& options) {
    auto transport =
        MmioTransport::Create(device, *memory_, line_, registrar_,
                              memory::GuestAddress(kBase), options);
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
  void WriteQueueReset(uint16_t value) override { Set(kMmioQueueReset, value); }
  uint32_t QueueReset() override { return Get(kMmioQueueReset); }
  void Notify(uint32_t queue) override { Set(kMmioQueueNotify, queue); }
  void NotifyWithData(uint32_t /*queue*/, uint32_t data) override {
    Set(kMmioQueueNotify, data);
  }
  bool Bound(uint32_t queue, uint32_t data) override {
    const int fd =
        transport_->state().notification(static_cast<uint16_t>(queue)).fd();
    const uint64_t address = kBase + kMmioQueueNotify;
    return registrar_.Find(address, 4, data) == fd ||
           registrar_.Find(address, 4, std::nullopt) == fd;
  }
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
    // A worker may have set the status and not triggered the line yet.
    return std::max(line_.Take(), 1);
  }

  TestMemory memory_;
  FakeInterrupt line_;
  FakeRegistrar registrar_;
  std::unique_ptr<MmioTransport> transport_;
};

}  // namespace

std::unique_ptr<TestDriver> MakeMmioTestDriver(
    VirtioDevice& device, const TransportOptions& options) {
  return std::make_unique<MmioTestDriver>(device, options);
}

}  // namespace annulus::virtio
