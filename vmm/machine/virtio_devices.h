#ifndef VMM_MACHINE_VIRTIO_DEVICES_H_
#define VMM_MACHINE_VIRTIO_DEVICES_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/notification_registrar.h"
#include "devices/pci/bar_mapper.h"
#include "devices/pci/host_bridge.h"
#include "devices/pci/msi_vector.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/mmio_transport.h"
#include "devices/virtio/transport/pci_transport.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_memory.h"
#include "vmm/acpi/acpi_config.h"
#include "vmm/bus/address_bus.h"
#include "vmm/config/vm_config.h"
#include "vmm/irq/irq_line.h"
#include "vmm/kvm/kvm_vm.h"
#include "vmm/net_resources.h"
#include "vmm/vhost_user_resources.h"
#include "vmm/vsock_resources.h"

namespace annulus {

// What virtio devices need of the machine; all of it outlives them.
struct VirtioSurroundings {
  const kvm::KvmVm& vm;
  const memory::GuestMemory& memory;
  NotificationRegistrar& registrar;
  AddressBus& mmio;
  pci::HostBridge& pci;
  pci::BarMapper& bars;
  pci::MsiVectorFactory& vectors;
  LogSink& log;
};

// What was opened for them: of Resources.
struct VirtioResources {
  std::vector<VhostUserResources> rng;
  std::vector<NetResources> net;
  std::optional<VsockResources> vsock;
};

// The virtio devices of a configuration, each behind its transport.
//
// Threads: built on one thread; the transports serve vCPU threads, the devices
//   have worker threads of their own.
class VirtioDevices {
 public:
  // The devices appear in the order of the configuration, entropy devices
  // first, then network cards, then the socket device: those over MMIO in
  // ascending windows, those over PCI in ascending slots.
  static absl::StatusOr<std::unique_ptr<VirtioDevices>> Create(
      const VmConfig& config, VirtioResources resources,
      const VirtioSurroundings& surroundings);

  // How ACPI is to describe those over MMIO.
  const std::vector<acpi::AcpiMmioDevice>& acpi_mmio_devices() const {
    return acpi_mmio_devices_;
  }

 private:
  struct MmioDevice {
    std::unique_ptr<virtio::VirtioDevice> device;
    std::unique_ptr<IrqLine> line;
    std::unique_ptr<virtio::MmioTransport> transport;
  };

  struct PciDevice {
    std::unique_ptr<virtio::VirtioDevice> device;
    std::unique_ptr<virtio::PciTransport> transport;
  };

  // `external`: another process serves it.
  absl::Status Add(std::unique_ptr<virtio::VirtioDevice> device,
                   const VirtioConfig& config, bool external,
                   const VirtioSurroundings& surroundings);
  absl::Status AddMmio(std::unique_ptr<virtio::VirtioDevice> device,
                       const virtio::TransportOptions& options,
                       const VirtioSurroundings& surroundings);
  absl::Status AddPci(std::unique_ptr<virtio::VirtioDevice> device,
                      const virtio::TransportOptions& options,
                      const VirtioSurroundings& surroundings);

  std::vector<PciDevice> pci_devices_;
  std::vector<MmioDevice> mmio_devices_;
  std::vector<acpi::AcpiMmioDevice> acpi_mmio_devices_;
};

}  // namespace annulus

#endif  // VMM_MACHINE_VIRTIO_DEVICES_H_
