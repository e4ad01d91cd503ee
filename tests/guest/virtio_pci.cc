#include "tests/guest/virtio_pci.h"

#include <cstddef>
#include <cstdint>

#include "devices/pci/config_registers.h"
#include "devices/virtio/spec/notification_data.h"
#include "devices/virtio/spec/pci_capability.h"
#include "tests/guest/apic.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/paging.h"
#include "tests/guest/register_scramble.h"

namespace guest {

namespace pci = annulus::pci;
namespace virtio = annulus::virtio;

namespace {

using Common = virtio::PciCommonCfg;

constexpr uint64_t kMsiAddress = 0xfee00000;  // + local APIC id << 12
constexpr uint32_t kMsixTable = 4;            // Within the capability.
constexpr uint32_t kTableIndicator = 0x7;     // BIR of the table offset.

}  // namespace

void VirtioPci::Probe(uint64_t bar_address) {
  GUEST_CHECK(function_.Read<uint16_t>(pci::kConfigVendorId) ==
              virtio::kPciVendorId);
  GUEST_CHECK(function_.Read<uint16_t>(pci::kConfigDeviceId) >=
              virtio::kPciDeviceIdBase);
  GUEST_CHECK((function_.Read<uint16_t>(pci::kConfigStatus) &
               pci::kStatusCapabilitiesList) != 0);
  uint32_t capability = 0;
  FindStructure(virtio::kPciCapCommonCfg, &capability);
  bar_index_ =
      function_.Read<uint8_t>(capability + offsetof(virtio::PciCap, bar));
  MapGigabyte(bar_address);
  bar_address_ = bar_address;
  bar_size_ = function_.PlaceBar(bar_index_, bar_address);

  common_ = FindStructure(virtio::kPciCapCommonCfg, &capability);
  FindStructure(virtio::kPciCapIsrCfg, &capability);
  notify_ = FindStructure(virtio::kPciCapNotifyCfg, &capability);
  notify_multiplier_ = function_.Read<uint32_t>(
      capability + offsetof(virtio::PciNotifyCap, notify_off_multiplier));
}

uint64_t VirtioPci::FindStructure(uint8_t cfg_type,
                                  uint32_t* capability) const {
  uint32_t at = 0;
  do {
    at = function_.FindCapability(pci::kCapabilityVendorSpecific, at);
    GUEST_CHECK(at != 0);
  } while (function_.Read<uint8_t>(at + offsetof(virtio::PciCap, cfg_type)) !=
           cfg_type);
  *capability = at;
  return bar_address_ +
         function_.Read<uint32_t>(at + offsetof(virtio::PciCap, offset));
}

uint32_t VirtioPci::DeviceId() {
  return uint32_t{function_.Read<uint16_t>(pci::kConfigDeviceId)} -
         virtio::kPciDeviceIdBase;
}

uint8_t VirtioPci::Status() {
  return MmioRead<uint8_t>(common_ + offsetof(Common, device_status));
}

void VirtioPci::WriteStatus(uint8_t status) {
  MmioWrite<uint8_t>(common_ + offsetof(Common, device_status), status);
}

uint32_t VirtioPci::DeviceFeatures(uint32_t page) {
  MmioWrite<uint32_t>(common_ + offsetof(Common, device_feature_select), page);
  return MmioRead<uint32_t>(common_ + offsetof(Common, device_feature));
}

void VirtioPci::WriteDriverFeatures(uint32_t page, uint32_t bits) {
  MmioWrite<uint32_t>(common_ + offsetof(Common, driver_feature_select), page);
  MmioWrite<uint32_t>(common_ + offsetof(Common, driver_feature), bits);
}

uint32_t VirtioPci::Config(uint32_t offset) {
  uint32_t capability = 0;
  return MmioRead<uint32_t>(
      FindStructure(virtio::kPciCapDeviceCfg, &capability) + offset);
}

void VirtioPci::SelectQueue(uint32_t queue) {
  MmioWrite<uint16_t>(common_ + offsetof(Common, queue_select),
                      static_cast<uint16_t>(queue));
}

uint32_t VirtioPci::QueueSize() {
  return MmioRead<uint16_t>(common_ + offsetof(Common, queue_size));
}

void VirtioPci::WriteQueueSize(uint32_t size) {
  MmioWrite<uint16_t>(common_ + offsetof(Common, queue_size),
                      static_cast<uint16_t>(size));
}

// 64-bit fields are written as two 32-bit ones, as §4.1.3.1 "Driver
// Requirements: PCI Device Layout" asks for.
void VirtioPci::WriteQueueAddresses(uint64_t descriptors, uint64_t driver,
                                    uint64_t device) {
  const uint64_t values[] = {descriptors, driver, device};
  const uint32_t offsets[] = {offsetof(Common, queue_desc),
                              offsetof(Common, queue_driver),
                              offsetof(Common, queue_device)};
  for (int i = 0; i < 3; ++i) {
    MmioWrite<uint32_t>(common_ + offsets[i], static_cast<uint32_t>(values[i]));
    MmioWrite<uint32_t>(common_ + offsets[i] + 4,
                        static_cast<uint32_t>(values[i] >> 32));
  }
}

void VirtioPci::EnableQueue() {
  MmioWrite<uint16_t>(common_ + offsetof(Common, queue_enable), 1);
}

bool VirtioPci::QueueEnabled() {
  return MmioRead<uint16_t>(common_ + offsetof(Common, queue_enable)) == 1;
}

void VirtioPci::ResetQueue() {
  MmioWrite<uint16_t>(common_ + offsetof(Common, queue_reset), 1);
}

bool VirtioPci::QueueResetOngoing() {
  return MmioRead<uint16_t>(common_ + offsetof(Common, queue_reset)) != 0;
}

uint64_t VirtioPci::NotifyAddress(uint32_t queue) {
  SelectQueue(queue);
  const uint16_t offset =
      MmioRead<uint16_t>(common_ + offsetof(Common, queue_notify_off));
  return notify_ + uint64_t{offset} * notify_multiplier_;
}

void VirtioPci::Notify(uint32_t queue) {
  MmioWrite<uint16_t>(NotifyAddress(queue), static_cast<uint16_t>(queue));
}

void VirtioPci::NotifyWithData(const virtio::NotificationData& data) {
  MmioWrite<uint32_t>(NotifyAddress(data.vq_index),
                      virtio::EncodeNotificationData(data));
}

void VirtioPci::RouteInterrupts(uint8_t vector) {
  Listen(vector, nullptr);
  Listen(static_cast<uint8_t>(vector + 1), nullptr);
  EnableLocalApic();
  SetUpMsixEntry(0, static_cast<uint8_t>(vector + 1));
  SetUpMsixEntry(1, vector);
  const uint32_t msix = function_.FindCapability(pci::kCapabilityMsix);
  function_.Write<uint16_t>(msix + pci::kMsixMessageControl, pci::kMsixEnable);

  // §4.1.5.1.2 "MSI-X Vector Configuration": a device that cannot map a vector
  // returns NO_VECTOR.
  MmioWrite<uint16_t>(common_ + offsetof(Common, config_msix_vector), 0);
  GUEST_CHECK(
      MmioRead<uint16_t>(common_ + offsetof(Common, config_msix_vector)) == 0);
  RouteQueueInterrupt();
}

void VirtioPci::RouteQueueInterrupt() {
  SelectQueue(0);
  MmioWrite<uint16_t>(common_ + offsetof(Common, queue_msix_vector), 1);
  GUEST_CHECK(
      MmioRead<uint16_t>(common_ + offsetof(Common, queue_msix_vector)) == 1);
}

void VirtioPci::SetUpMsixEntry(uint32_t entry, uint8_t vector) const {
  const uint32_t msix = function_.FindCapability(pci::kCapabilityMsix);
  GUEST_CHECK(msix != 0);
  const uint32_t table = function_.Read<uint32_t>(msix + kMsixTable);
  GUEST_CHECK((table & kTableIndicator) == bar_index_);
  const uint64_t address = bar_address_ + (table & ~kTableIndicator) +
                           uint64_t{entry} * pci::kMsixEntrySize;
  MmioWrite<uint32_t>(address,
                      static_cast<uint32_t>(kMsiAddress) | LocalApicId() << 12);
  MmioWrite<uint32_t>(address + 4, 0);
  MmioWrite<uint32_t>(address + 8, vector);
  MmioWrite<uint32_t>(address + 12, 0);  // Not masked.
}

void VirtioPci::Scramble() {
  // Each structure of the BAR is within a page's first bytes.
  for (uint64_t page = 0; page < bar_size_; page += 0x1000) {
    ScrambleMemory(bar_address_ + page, bar_address_ + page + 0x60);
    ScrambleMemory(bar_address_ + page + 0xff8, bar_address_ + page + 0xffd);
  }
  // The header and its capabilities. This moves the BAR, and turns memory
  // decoding and MSI-X on and off.
  ScrambleMemory(function_.config_address(),
                 function_.config_address() + 0x100);
}

void VirtioPci::Unscramble() {
  const uint32_t msix = function_.FindCapability(pci::kCapabilityMsix);
  function_.Write<uint16_t>(msix + pci::kMsixMessageControl, 0);
  Probe(bar_address_);
}

}  // namespace guest
