#ifndef VMM_MACHINE_VIRTIO_DEVICES_H_
#define VMM_MACHINE_VIRTIO_DEVICES_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/notification_registrar.h"
#include "devices/pci/bar_mapper.h"
#include "devices/pci/host_bridge.h"
#include "devices/pci/msi_vector.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/transport/mmio_transport.h"
#include "devices/virtio/transport/pci_transport.h"
#include "devices/virtio/transport/transport_options.h"
#include "memory/guest_memory.h"
#include "vmm/acpi/acpi_config.h"
#include "vmm/bus/address_bus.h"
#include "vmm/config/vm_config.h"
#include "vmm/counter_sample.h"
#include "vmm/irq/irq_line.h"
#include "vmm/kvm/kvm_vm.h"
#include "vmm/machine/device_counters.h"
#include "vmm/machine/device_events.h"
#include "vmm/net_resources.h"
#include "vmm/resources.h"
#include "vmm/vhost_user_resources.h"
#include "vmm/vm_event.h"
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
  VmEventSink& events;
};

// What was opened for them: of Resources.
struct VirtioResources {
  std::vector<VhostUserResources> rng;
  std::vector<NetResources> net;
  std::optional<VsockResources> vsock;
  std::vector<CustomDevice> devices;
};

// The virtio devices of a configuration, each behind its transport.
//
// Threads: built on one thread; the transports serve vCPU threads, the devices
//   have worker threads of their own.
class VirtioDevices {
 public:
  // The devices appear in the order of the configuration, entropy devices
  // first, then network cards, then the socket device, then those of the
  // embedder: those over MMIO in ascending windows, those over PCI in ascending
  // slots. InvalidArgument: "devices[0]: what is wrong with it".
  static absl::StatusOr<std::unique_ptr<VirtioDevices>> Create(
      const VmConfig& config, VirtioResources resources,
      const VirtioSurroundings& surroundings);

  // What all of them have counted, in their order. Any thread.
  void AppendCounters(std::vector<CounterSample>& samples) const;

  // As Vmm::SetLink(). Any thread.
  absl::Status SetLink(uint32_t card, bool up) const;

  // How ACPI is to describe those over MMIO.
  const std::vector<acpi::AcpiMmioDevice>& acpi_mmio_devices() const {
    return acpi_mmio_devices_;
  }

  // Nobody waits for other processes from now on: see FrontEndDevice. Any
  // thread.
  void EndWaits() const {
    for (vhost_user::FrontEndDevice* device : external_) device->EndWaits();
  }

 private:
  // A device with what else is known of it.
  struct Named {
    std::string name;
    std::unique_ptr<DeviceEvents> events;
    std::unique_ptr<virtio::VirtioDevice> device;
  };

  struct MmioDevice {
    std::unique_ptr<DeviceEvents> events;
    std::unique_ptr<virtio::VirtioDevice> device;
    std::unique_ptr<IrqLine> line;
    std::unique_ptr<virtio::MmioTransport> transport;
  };

  struct PciDevice {
    std::unique_ptr<DeviceEvents> events;
    std::unique_ptr<virtio::VirtioDevice> device;
    std::unique_ptr<virtio::PciTransport> transport;
  };

  // The device of a name, and who hears of it.
  template <typename Device, typename... Args>
  Named Know(std::string name, std::unique_ptr<Device> device,
             VmEventSink& events, Args... args);

  // Likewise, of one that another process serves.
  Named KnowExternal(std::string name,
                     std::unique_ptr<vhost_user::FrontEndDevice> device,
                     VmEventSink& events);

  absl::StatusOr<Named> MakeRng(const RngConfig& config, size_t index,
                                VhostUserResources resources,
                                const VirtioSurroundings& surroundings);
  absl::StatusOr<Named> MakeNet(const NetConfig& config, size_t index,
                                NetResources resources,
                                const VirtioSurroundings& surroundings);
  absl::StatusOr<Named> MakeVsock(const VsockConfig& config,
                                  VsockResources resources,
                                  const VirtioSurroundings& surroundings);

  absl::Status AddCustom(std::vector<CustomDevice> devices,
                         const VirtioSurroundings& surroundings);
  // `external`: another process serves it.
  absl::Status Add(Named device, const VirtioConfig& config, bool external,
                   const VirtioSurroundings& surroundings);
  absl::Status AddMmio(Named device, const virtio::TransportOptions& options,
                       const VirtioSurroundings& surroundings);
  absl::Status AddPci(Named device, const virtio::TransportOptions& options,
                      const VirtioSurroundings& surroundings);

  // Constant after Create(), as all.
  std::vector<CounterSource> counters_;
  std::vector<virtio::NetDevice*> cards_;  // Null: not served here.
  std::vector<PciDevice> pci_devices_;
  std::vector<MmioDevice> mmio_devices_;
  std::vector<acpi::AcpiMmioDevice> acpi_mmio_devices_;
  std::vector<vhost_user::FrontEndDevice*> external_;  // Of the above.
};

}  // namespace annulus

#endif  // VMM_MACHINE_VIRTIO_DEVICES_H_
