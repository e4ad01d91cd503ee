#ifndef VMM_MACHINE_MACHINE_H_
#define VMM_MACHINE_MACHINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/pci/host_bridge.h"
#include "devices/platform/platform_control.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "vmm/boot/boot_state.h"
#include "vmm/bus/address_bus.h"
#include "vmm/bus/bar_windows.h"
#include "vmm/bus/io_event_registrar.h"
#include "vmm/config/vm_config.h"
#include "vmm/control/event_loop.h"
#include "vmm/irq/gsi_router.h"
#include "vmm/irq/irq_line.h"
#include "vmm/irq/msi_irq.h"
#include "vmm/kvm/kvm_system.h"
#include "vmm/kvm/kvm_vcpu.h"
#include "vmm/kvm/kvm_vm.h"
#include "vmm/machine/console.h"
#include "vmm/machine/pc_platform.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/resources.h"
#include "vmm/vm_event.h"

namespace annulus {

// Everything of a VM but its running: RAM with the kernel in it, buses,
// interrupts, devices, vCPUs in their initial state.
//
// Threads: built and destroyed on one thread, no vCPU running at either time.
class Machine {
 public:
  // REQUIRES: `config` is valid. `control`, `loop`, `events` and `log` outlive
  // the machine.
  static absl::StatusOr<std::unique_ptr<Machine>> Create(
      const VmConfig& config, Resources resources,
      platform::PlatformControl& control, EventLoop& loop, VmEventSink& events,
      LogSink& log);

  // The vCPUs, once; the first is the boot CPU.
  std::vector<kvm::KvmVcpu> TakeVcpus() { return std::move(vcpus_); }

  AddressBus& mmio() { return mmio_; }
  AddressBus& ports() { return ports_; }
  const memory::GuestMemory& memory() const { return memory_; }
  Console& console() { return *console_; }
  const VirtioDevices& virtio() const { return *virtio_; }
  // Any thread.
  void PressPowerButton() { power_button_->Trigger(); }

  // The VM is about to end: nobody waits for other processes any more. Any
  // thread.
  void EndWaits() const { virtio_->EndWaits(); }

 private:
  Machine(kvm::KvmVm vm, memory::GuestRam ram, memory::GuestMemory memory);

  absl::Status MapMemory();
  // Above RAM; where it begins depends on how much there is.
  BarWindows::Window PciWindow64() const;
  absl::Status AddPci();
  absl::Status AddDevices(const VmConfig& config, Resources& resources,
                          platform::PlatformControl& control, EventLoop& loop,
                          VmEventSink& events, LogSink& log);
  absl::StatusOr<boot::BootState> Load(const VmConfig& config,
                                       const Resources& resources);
  absl::Status AddVcpus(const VmConfig& config, const kvm::KvmSystem& system,
                        const boot::BootState& boot_state);

  // In order of construction: each uses those before it.
  memory::GuestRam ram_;
  memory::GuestMemory memory_;
  kvm::KvmVm vm_;
  GsiRouter router_;
  IoEventRegistrar registrar_;
  AddressBus mmio_;
  AddressBus ports_;
  BarWindows bars_;
  MsiIrqFactory vectors_;
  pci::HostBridge pci_;
  std::unique_ptr<IrqLine> serial_line_;
  std::unique_ptr<IrqLine> power_button_;
  std::unique_ptr<Console> console_;
  std::unique_ptr<PcPlatform> platform_;
  std::unique_ptr<VirtioDevices> virtio_;
  std::vector<kvm::KvmVcpu> vcpus_;
};

}  // namespace annulus

#endif  // VMM_MACHINE_MACHINE_H_
