#ifndef DEVICES_VIRTIO_TRANSPORT_TEST_DRIVER_H_
#define DEVICES_VIRTIO_TRANSPORT_TEST_DRIVER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// A driver that says any nonsense that a test asks it to, over one transport
// that it owns: the same test runs over MMIO and PCI.
class TestDriver {
 public:
  virtual ~TestDriver() = default;

  virtual uint8_t Status() = 0;
  virtual void WriteStatus(uint8_t status) = 0;
  virtual uint32_t DeviceFeatures(uint32_t page) = 0;
  virtual void WriteDriverFeatures(uint32_t page, uint32_t bits) = 0;
  virtual void SelectQueue(uint16_t queue) = 0;
  // Of the selected queue: what the driver learns of its size.
  virtual uint32_t QueueSize() = 0;
  virtual void WriteQueueSize(uint16_t size) = 0;
  virtual void WriteQueueArea(QueueArea area, uint64_t address) = 0;
  virtual void WriteQueueEnable(uint16_t value) = 0;
  virtual uint32_t QueueEnable() = 0;
  virtual void WriteQueueReset(uint16_t value) = 0;
  virtual uint32_t QueueReset() = 0;
  virtual void Notify(uint32_t queue) = 0;
  // With VIRTIO_F_NOTIFICATION_DATA: `data` as the notification of `queue`,
  // which is where it goes over PCI, whatever the data say.
  virtual void NotifyWithData(uint32_t queue, uint32_t data) = 0;
  // Whether KVM would signal the eventfd of `queue` for that store, without an
  // exit.
  virtual bool Bound(uint32_t queue, uint32_t data) = 0;
  virtual uint32_t Generation() = 0;
  virtual std::vector<uint8_t> ReadConfig(uint32_t offset, size_t size) = 0;
  virtual void WriteConfig(uint32_t offset, std::vector<uint8_t> data) = 0;

  // The guest RAM that the device was given.
  virtual const memory::GuestMemory& memory() const = 0;

  // Interrupts of either kind since the last call.
  virtual int TakeUsedBufferInterrupts() = 0;
  virtual int TakeConfigurationInterrupts() = 0;

  // The steps of virtio 1.4 §3.1.1, each of which leaves out nothing.
  void ResetAndAcknowledge();
  // ... up to FEATURES_OK.
  void Negotiate(const FeatureSet& features);
  void SetUpQueue(uint16_t queue, uint16_t size);
  void DriverOk();
  // Everything, with one queue of 16 descriptors.
  void Initialize();
};

std::unique_ptr<TestDriver> MakeMmioTestDriver(VirtioDevice& device,
                                               const TransportOptions& options);
std::unique_ptr<TestDriver> MakePciTestDriver(VirtioDevice& device,
                                              const TransportOptions& options);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_TEST_DRIVER_H_
