#ifndef TESTS_GUEST_VIRTIO_TRANSPORT_H_
#define TESTS_GUEST_VIRTIO_TRANSPORT_H_

#include <cstdint>

#include "devices/virtio/spec/notification_data.h"

namespace guest {

// One virtio device as a driver reaches it, over MMIO or PCI: register accesses
// and no knowledge of the order in which they belong. virtio_device.h has that.
class VirtioTransport {
 public:
  virtual uint32_t DeviceId() = 0;
  virtual uint8_t Status() = 0;
  virtual void WriteStatus(uint8_t status) = 0;
  virtual uint32_t DeviceFeatures(uint32_t page) = 0;
  virtual void WriteDriverFeatures(uint32_t page, uint32_t bits) = 0;

  // Of the device-specific configuration; `offset` is a multiple of 4.
  virtual uint32_t Config(uint32_t offset) = 0;

  virtual void SelectQueue(uint32_t queue) = 0;
  // All of the selected queue.
  virtual uint32_t QueueSize() = 0;  // MMIO: the greatest possible.
  virtual void WriteQueueSize(uint32_t size) = 0;
  virtual void WriteQueueAddresses(uint64_t descriptors, uint64_t driver,
                                   uint64_t device) = 0;
  virtual void EnableQueue() = 0;
  virtual bool QueueEnabled() = 0;

  // With VIRTIO_F_RING_RESET.
  virtual void ResetQueue() = 0;
  virtual bool QueueResetOngoing() = 0;

  virtual void Notify(uint32_t queue) = 0;
  // With VIRTIO_F_NOTIFICATION_DATA.
  virtual void NotifyWithData(
      const annulus::virtio::NotificationData& data) = 0;

  // Before DRIVER_OK: used buffer notifications of queue 0 come as `vector`,
  // configuration changes as `vector` or the next one.
  virtual void RouteInterrupts(uint8_t vector) = 0;

  // After a reset of queue 0, which makes the device forget it.
  virtual void RouteQueueInterrupt() = 0;

  // Every register at every width and alignment, read and written.
  virtual void Scramble() = 0;
  // Puts right what Scramble() spoilt and a device reset does not mend.
  virtual void Unscramble() = 0;

 protected:
  ~VirtioTransport() = default;
};

// The device that the command line names: mmio=ADDRESS irq=GSI, or pci=SLOT.
// Another option may have the slot, where there are several devices: the one
// found before is not to be used any more.
VirtioTransport& FindVirtioTransport(const char* slot_option = "pci");

}  // namespace guest

#endif  // TESTS_GUEST_VIRTIO_TRANSPORT_H_
