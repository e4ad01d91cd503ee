#ifndef DEVICES_VIRTIO_TRANSPORT_PCI_COMMON_CONFIG_H_
#define DEVICES_VIRTIO_TRANSPORT_PCI_COMMON_CONFIG_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/transport/device_state.h"
#include "devices/virtio/transport/pci_interrupts.h"

namespace annulus::virtio {

// The registers of struct virtio_pci_common_cfg (virtio 1.4 §4.1.4.3 "Common
// configuration structure layout") over a DeviceState.
//
// An access must have the width of the field that it names, and start where
// that starts; the 64-bit addresses are two 32-bit fields each (§4.1.3.1). Any
// other access reads as 0 and is ignored as a write.
//
// Threads: thread-safe. Trust: offset, width and data are guest-controlled.
class PciCommonConfig {
 public:
  // Both outlive it.
  PciCommonConfig(DeviceState& state, PciInterrupts& interrupts)
      : state_(state), interrupts_(interrupts) {}

  void Read(uint64_t offset, absl::Span<uint8_t> data) const;
  void Write(uint64_t offset, absl::Span<const uint8_t> data);

 private:
  uint32_t ReadField(uint64_t offset) const;
  void WriteField(uint64_t offset, uint32_t value);

  DeviceState& state_;
  PciInterrupts& interrupts_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_PCI_COMMON_CONFIG_H_
