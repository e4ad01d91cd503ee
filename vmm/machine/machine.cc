#include "vmm/machine/machine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/platform/serial_16550_registers.h"
#include "vmm/acpi/acpi_config.h"
#include "vmm/acpi/acpi_tables.h"
#include "vmm/boot/load_guest.h"
#include "vmm/boot/reset_vector.h"
#include "vmm/cpu/vcpu_setup.h"
#include "vmm/machine/address_map.h"

namespace annulus {
namespace {

// A process that serves a device has to have the guest's memory.
bool SharesMemory(const VmConfig& config) {
  const auto external = [](const auto& device) {
    return device.vhost_user.given();
  };
  return config.memory.shared ||
         std::any_of(config.rng.begin(), config.rng.end(), external) ||
         std::any_of(config.net.begin(), config.net.end(), external) ||
         (config.vsock.has_value() && external(*config.vsock));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Machine>> Machine::Create(
    const VmConfig& config, Resources resources,
    platform::PlatformControl& control, EventLoop& loop, VmEventSink& events,
    LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(const kvm::KvmSystem system,
                           kvm::KvmSystem::Create(std::move(resources.kvm)));
  if (config.cpu.count > system.max_vcpus()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cpu.count: ", config.cpu.count,
                     " vCPUs, but this KVM has at most ", system.max_vcpus()));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      memory::GuestRam ram,
      memory::GuestRam::Create({.size = config.memory.size_bytes,
                                .hugepages = config.memory.hugepages,
                                .prefault = config.memory.prefault,
                                .shared = SharesMemory(config),
                                .name = absl::StrCat(config.name, "-ram")}));
  ANNULUS_ASSIGN_OR_RETURN(memory::GuestMemory memory,
                           memory::GuestMemory::Create(ram.Regions()));
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd vm_fd, system.CreateVm());
  std::unique_ptr<Machine> self(new Machine(kvm::KvmVm(std::move(vm_fd)),
                                            std::move(ram), std::move(memory)));
  ANNULUS_RETURN_IF_ERROR(self->vm_.CreatePlatform(kTss, kIdentityMap));
  ANNULUS_RETURN_IF_ERROR(self->MapMemory());
  ANNULUS_RETURN_IF_ERROR(
      self->AddDevices(config, resources, control, loop, events, log));
  ANNULUS_ASSIGN_OR_RETURN(const boot::BootState boot_state,
                           self->Load(config, resources));
  ANNULUS_RETURN_IF_ERROR(self->AddVcpus(config, system, boot_state));
  return self;
}

Machine::Machine(kvm::KvmVm vm, memory::GuestRam ram,
                 memory::GuestMemory memory)
    : ram_(std::move(ram)),
      memory_(std::move(memory)),
      vm_(std::move(vm)),
      router_(vm_),
      registrar_(vm_),
      bars_(mmio_,
            {{.start = kPciWindow32, .size = kPciWindow32Size}, PciWindow64()}),
      vectors_(vm_, router_) {}

BarWindows::Window Machine::PciWindow64() const {
  const memory::GuestRegion& last = memory_.regions().back();
  const uint64_t ram_end = last.start.value() + last.size;
  const uint64_t start = std::max(ram_end, memory::GuestRam::kHoleEnd.value());
  // Aligned to its size, so that Linux can place any BAR that fits in it.
  return {.start = memory::GuestAddress((start + kPciWindow64Size - 1) /
                                        kPciWindow64Size * kPciWindow64Size),
          .size = kPciWindow64Size};
}

absl::Status Machine::AddPci() {
  ANNULUS_RETURN_IF_ERROR(
      mmio_.Add(kEcam.value(), pci::HostBridge::kEcamSize, pci_.ecam()));
  return ports_.Add(pci::HostBridge::kPorts, pci::HostBridge::kPortCount,
                    pci_.ports());
}

absl::Status Machine::MapMemory() {
  uint32_t slot = 0;
  for (const memory::GuestRegion& region : memory_.regions()) {
    ANNULUS_RETURN_IF_ERROR(vm_.SetMemory(slot++, region));
  }
  return absl::OkStatus();
}

absl::Status Machine::AddDevices(const VmConfig& config, Resources& resources,
                                 platform::PlatformControl& control,
                                 EventLoop& loop, VmEventSink& events,
                                 LogSink& log) {
  ANNULUS_RETURN_IF_ERROR(router_.Install());
  ANNULUS_ASSIGN_OR_RETURN(serial_line_,
                           IrqLine::Create(vm_, platform::kSerialGsi));
  ANNULUS_ASSIGN_OR_RETURN(power_button_,
                           IrqLine::Create(vm_, kPowerButtonGsi));
  ANNULUS_ASSIGN_OR_RETURN(
      console_, Console::Create(std::move(resources.console_in),
                                std::move(resources.console_out), *serial_line_,
                                loop, log));
  ANNULUS_RETURN_IF_ERROR(ports_.Add(
      platform::kSerialPort, platform::kSerialPortCount, console_->serial()));
  ANNULUS_ASSIGN_OR_RETURN(
      platform_, PcPlatform::Create(control, config.debug_exit, ports_));
  ANNULUS_RETURN_IF_ERROR(AddPci());
  ANNULUS_ASSIGN_OR_RETURN(
      virtio_, VirtioDevices::Create(config,
                                     {.rng = std::move(resources.rng),
                                      .net = std::move(resources.net),
                                      .vsock = std::move(resources.vsock),
                                      .devices = std::move(resources.devices)},
                                     {.vm = vm_,
                                      .memory = memory_,
                                      .registrar = registrar_,
                                      .mmio = mmio_,
                                      .pci = pci_,
                                      .bars = bars_,
                                      .vectors = vectors_,
                                      .log = log,
                                      .events = events}));
  return absl::OkStatus();
}

absl::StatusOr<boot::BootState> Machine::Load(const VmConfig& config,
                                              const Resources& resources) {
  acpi::AcpiConfig acpi;
  acpi.cpu_count = config.cpu.count;
  acpi.ecam = {kEcam, pci::HostBridge::kEcamSize};
  acpi.pci_window_32 = {kPciWindow32, kPciWindow32Size};
  acpi.pci_window_64 = {PciWindow64().start, PciWindow64().size};
  acpi.mmio_devices = virtio_->acpi_mmio_devices();
  acpi.uart = {.port = platform::kSerialPort, .gsi = platform::kSerialGsi};
  acpi.power_button_gsi = kPowerButtonGsi;
  ANNULUS_ASSIGN_OR_RETURN(const memory::GuestAddress rsdp,
                           acpi::WriteAcpiTables(memory_, acpi));
  ANNULUS_RETURN_IF_ERROR(
      boot::WriteResetVector(memory_, acpi.reset_port, acpi.reset_value));
  const boot::AddressRange reserved[] = {
      {.start = kEcam, .size = pci::HostBridge::kEcamSize}};
  boot::BootInputs inputs;
  inputs.kernel_fd = resources.kernel.get();
  if (resources.initrd.valid()) inputs.initrd_fd = resources.initrd.get();
  inputs.cmdline = config.boot.cmdline;
  inputs.rsdp = rsdp;
  inputs.reserved = reserved;
  return boot::LoadGuest(memory_, inputs);
}

absl::Status Machine::AddVcpus(const VmConfig& config,
                               const kvm::KvmSystem& system,
                               const boot::BootState& boot_state) {
  ANNULUS_ASSIGN_OR_RETURN(const std::vector<kvm::CpuidEntry> supported,
                           system.SupportedCpuid());
  for (uint32_t id = 0; id < config.cpu.count; ++id) {
    ANNULUS_ASSIGN_OR_RETURN(UniqueFd fd, vm_.CreateVcpu(id));
    ANNULUS_ASSIGN_OR_RETURN(
        kvm::KvmVcpu vcpu,
        kvm::KvmVcpu::Create(std::move(fd), system.vcpu_mmap_size()));
    ANNULUS_RETURN_IF_ERROR(
        SetUpVcpu(vcpu, supported,
                  {.vcpu_id = id,
                   .vcpu_count = config.cpu.count,
                   .tsc_deadline_timer = system.has_tsc_deadline_timer()}));
    vcpus_.push_back(std::move(vcpu));
  }
  // The others wait for the guest to start them.
  return vcpus_.front().SetRegisters(boot_state);
}

}  // namespace annulus
