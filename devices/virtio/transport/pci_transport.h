#ifndef DEVICES_VIRTIO_TRANSPORT_PCI_TRANSPORT_H_
#define DEVICES_VIRTIO_TRANSPORT_PCI_TRANSPORT_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/bus_device.h"
#include "devices/notification_registrar.h"
#include "devices/pci/bar_mapper.h"
#include "devices/pci/bar_mapping.h"
#include "devices/pci/config_space.h"
#include "devices/pci/msi_vector.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci_function.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/device_state.h"
#include "devices/virtio/transport/pci_common_config.h"
#include "devices/virtio/transport/pci_interrupts.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// One non-transitional virtio device as a PCI function (virtio 1.4 §4.1
// "Virtio Over PCI Bus"), with all of its structures in one 64-bit memory BAR:
//
//   0x0000 common configuration        0x3000 notifications, 4 bytes a queue
//   0x1000 ISR status                  0x4000 MSI-X pending bits
//   0x2000 device configuration        0x8000 MSI-X table
//
// The address of an available buffer notification says which queue it is for,
// with and without VIRTIO_F_NOTIFICATION_DATA: it never takes an exit, and the
// value stored, index or data, is not looked at.
//
// There is one MSI-X vector for each queue and one for the configuration.
// INTx is not wired (interrupt pin 0), see PciInterrupts.
//
// Threads: configuration space and BAR on any vCPU thread. The configuration
//   space has its own mutex, held while the BAR is moved, but not while the
//   window of VIRTIO_PCI_CAP_PCI_CFG reaches into the BAR.
// Trust: offsets, widths, data and the place of the BAR are guest-controlled.
//   An access that leaves the structure in which it starts reads as 0 and is
//   ignored as a write.
// Allocation: none after Create().
class PciTransport final : public pci::PciFunction, private BusDevice {
 public:
  static constexpr uint64_t kBarSize = 0x10000;
  // What fits in the notification structure.
  static constexpr uint32_t kMaxQueues = 1024;

  // What the machine provides; all of it outlives the transport.
  struct Host {
    const memory::GuestMemory& memory;
    pci::MsiVectorFactory& vectors;
    pci::BarMapper& bars;
    NotificationRegistrar& notifications;
  };

  // `bar` is where firmware would have put the BAR, a multiple of kBarSize, or
  // 0 where that is left to the guest. Fails when the host runs out of
  // descriptors or vectors, or the device has too many queues or too large a
  // configuration space.
  static absl::StatusOr<std::unique_ptr<PciTransport>> Create(
      VirtioDevice& device, const Host& host, memory::GuestAddress bar = {},
      const TransportOptions& options = {});

  // Resets the device. The function must be out of reach of the guest.
  ~PciTransport() override;

  // PciFunction.
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) override;
  void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) override;

  const DeviceState& state() const { return *state_; }

 private:
  PciTransport(const pci::ConfigSpace::Identity& identity, const Host& host);
  absl::Status BuildCapabilities(memory::GuestAddress bar)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mu_);

  // BusDevice: the BAR.
  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

  // The window that the driver opened with VIRTIO_PCI_CAP_PCI_CFG.
  struct Window {
    uint32_t offset = 0;  // In the BAR.
    uint32_t length = 0;  // 0: the window is closed.
  };
  Window CurrentWindow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mu_);
  void ReadThroughWindow();
  void FollowBar() ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mu_);
  NotificationAddress NotifyAddress(memory::GuestAddress bar,
                                    uint16_t queue) const;

  NotificationRegistrar& notifications_;
  std::unique_ptr<pci::Msix> msix_;
  std::unique_ptr<PciInterrupts> interrupts_;
  std::unique_ptr<DeviceState> state_;
  std::unique_ptr<PciCommonConfig> common_;

  // Taken before any other lock.
  Mutex config_mu_;
  pci::ConfigSpace config_ ABSL_GUARDED_BY(config_mu_);
  pci::BarMapping bar_ ABSL_GUARDED_BY(config_mu_);
  // Offsets of capabilities, constant after Create().
  uint32_t msix_capability_ = 0;
  uint32_t window_capability_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_PCI_TRANSPORT_H_
