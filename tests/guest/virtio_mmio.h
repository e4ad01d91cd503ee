#ifndef TESTS_GUEST_VIRTIO_MMIO_H_
#define TESTS_GUEST_VIRTIO_MMIO_H_

#include <cstdint>

#include "devices/virtio/spec/notification_data.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

// virtio 1.4 §4.2 "Virtio Over MMIO".
class VirtioMmio final : public VirtioTransport {
 public:
  constexpr VirtioMmio(uint64_t base, uint32_t gsi) : base_(base), gsi_(gsi) {}

  // Checks magic value and version.
  void Probe();

  uint32_t DeviceId() override;
  uint8_t Status() override;
  void WriteStatus(uint8_t status) override;
  uint32_t DeviceFeatures(uint32_t page) override;
  void WriteDriverFeatures(uint32_t page, uint32_t bits) override;
  uint32_t Config(uint32_t offset) override;
  void SelectQueue(uint32_t queue) override;
  uint32_t QueueSize() override;
  void WriteQueueSize(uint32_t size) override;
  void WriteQueueAddresses(uint64_t descriptors, uint64_t driver,
                           uint64_t device) override;
  void EnableQueue() override;
  bool QueueEnabled() override;
  void ResetQueue() override;
  bool QueueResetOngoing() override;
  void Notify(uint32_t queue) override;
  void NotifyWithData(const annulus::virtio::NotificationData& data) override;
  void RouteInterrupts(uint8_t vector) override;
  void RouteQueueInterrupt() override {}  // The line is the device's.
  void Scramble() override;
  void Unscramble() override {}

 private:
  uint32_t Read(uint32_t offset) const;
  void Write(uint32_t offset, uint32_t value) const;
  void WriteLong(uint32_t low_offset, uint64_t value) const;

  uint64_t base_;
  uint32_t gsi_;
};

}  // namespace guest

#endif  // TESTS_GUEST_VIRTIO_MMIO_H_
