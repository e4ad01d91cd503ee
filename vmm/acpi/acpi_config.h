#ifndef VMM_ACPI_ACPI_CONFIG_H_
#define VMM_ACPI_ACPI_CONFIG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/platform/acpi_pm_registers.h"
#include "memory/guest_address.h"

namespace annulus::acpi {

struct AcpiWindow {
  memory::GuestAddress base = {};
  uint64_t size = 0;  // Bytes; 0: there is none.
};

// One virtio-mmio device, "LNRO0005". Its interrupt is edge-triggered.
struct AcpiMmioDevice {
  memory::GuestAddress base = {};  // Below 4 GiB.
  uint32_t size = 0;
  uint32_t gsi = 0;
};

struct AcpiUart {
  uint16_t port = 0x3f8;
  uint32_t gsi = 4;
};

// An ISA interrupt that is wired to another GSI than its own number.
struct AcpiInterruptOverride {
  uint8_t isa_irq = 0;
  uint32_t gsi = 0;
  uint16_t flags = 0;  // MPS INTI flags; 0: as the ISA bus has it.
};

// The machine as its ACPI tables describe it; plain data. The platform code
// takes every number from one place and gives it both to the devices and here.
struct AcpiConfig {
  uint32_t cpu_count = 1;  // Local APIC ids 0 to cpu_count - 1; at most 255.

  uint32_t local_apic_address = 0xfee00000;
  uint32_t io_apic_address = 0xfec00000;
  std::vector<AcpiInterruptOverride> interrupt_overrides = {};

  // PCI Express: configuration space of bus 0 upwards, 1 MiB for each bus.
  // Size 0: no PCI at all.
  AcpiWindow ecam = {memory::GuestAddress(0xe0000000), 1 << 20};
  AcpiWindow pci_window_32 = {memory::GuestAddress(0xc0000000), 0x20000000};
  AcpiWindow pci_window_64 = {};

  std::vector<AcpiMmioDevice> mmio_devices = {};
  std::optional<AcpiUart> uart = AcpiUart{};
  bool rtc = true;  // A CMOS clock at ports 0x70 and 0x71.

  // The interrupt of the power button, edge-triggered; none: there is no
  // button.
  std::optional<uint32_t> power_button_gsi = std::nullopt;

  // Powering off: the guest writes the S5 type with SLP_EN to the first, ACPI
  // 6.5 §4.8.3.7 "Sleep Control and Status Registers".
  uint16_t sleep_control_port = platform::kAcpiSleepControlPort;
  uint16_t sleep_status_port = platform::kAcpiSleepStatusPort;
  uint16_t reset_port = platform::kAcpiResetPort;
  uint8_t reset_value = platform::kAcpiResetValue;
  uint8_t s5_sleep_type = platform::kAcpiSleepTypeS5;  // 0 to 7.
};

}  // namespace annulus::acpi

#endif  // VMM_ACPI_ACPI_CONFIG_H_
