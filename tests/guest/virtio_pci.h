#ifndef TESTS_GUEST_VIRTIO_PCI_H_
#define TESTS_GUEST_VIRTIO_PCI_H_

#include <cstdint>

#include "devices/virtio/spec/notification_data.h"
#include "tests/guest/pci.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

// virtio 1.4 §4.1 "Virtio Over PCI Bus", modern, with MSI-X.
class VirtioPci final : public VirtioTransport {
 public:
  explicit constexpr VirtioPci(uint32_t slot) : function_(slot) {}

  // Checks the identity, finds the capabilities, and places the BAR at
  // `bar_address`. May be repeated: the BAR then moves.
  void Probe(uint64_t bar_address);

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
  // Vector 0 of the MSI-X table is configuration changes, 1 is queue 0.
  void RouteInterrupts(uint8_t vector) override;
  void RouteQueueInterrupt() override;
  void Scramble() override;
  void Unscramble() override;

 private:
  // Address of the structure that the capability of `cfg_type` describes.
  uint64_t FindStructure(uint8_t cfg_type, uint32_t* capability) const;
  // Where a notification of `queue` is stored; selects it.
  uint64_t NotifyAddress(uint32_t queue);
  void SetUpMsixEntry(uint32_t entry, uint8_t vector) const;

  PciFunction function_;
  uint64_t bar_address_ = 0;
  uint64_t bar_size_ = 0;
  uint32_t bar_index_ = 0;
  uint64_t common_ = 0;
  uint64_t notify_ = 0;
  uint32_t notify_multiplier_ = 0;
};

}  // namespace guest

#endif  // TESTS_GUEST_VIRTIO_PCI_H_
