#include "vmm/acpi/madt.h"

#include <utility>

#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {
namespace {

// Table 5.21 "Interrupt Controller Structure Types": type and length.
constexpr uint8_t kProcessorLocalApic = 0;
constexpr uint8_t kIoApic = 1;
constexpr uint8_t kInterruptSourceOverride = 2;
constexpr uint8_t kLocalApicNmi = 4;

constexpr uint32_t kLocalApicEnabled = 1 << 0;
constexpr uint8_t kAllProcessors = 0xff;
constexpr uint8_t kIsaBus = 0;

}  // namespace

std::vector<uint8_t> BuildMadt(const AcpiConfig& config) {
  SdtBuilder madt("APIC", 5);
  madt.Append(config.local_apic_address, 4);
  madt.Append(0, 4);  // Not PCAT_COMPAT: no 8259 for the guest to mask.
  for (uint32_t cpu = 0; cpu < config.cpu_count; ++cpu) {
    madt.Append(kProcessorLocalApic, 1)
        .Append(8, 1)
        .Append(cpu, 1)  // ACPI processor UID.
        .Append(cpu, 1)  // APIC id.
        .Append(kLocalApicEnabled, 4);
  }
  madt.Append(kIoApic, 1)
      .Append(12, 1)
      .Append(0, 1)  // I/O APIC id, as KVM's has it after reset.
      .Append(0, 1)
      .Append(config.io_apic_address, 4)
      .Append(0, 4);  // Its first GSI.
  for (const AcpiInterruptOverride& interrupt : config.interrupt_overrides) {
    madt.Append(kInterruptSourceOverride, 1)
        .Append(10, 1)
        .Append(kIsaBus, 1)
        .Append(interrupt.isa_irq, 1)
        .Append(interrupt.gsi, 4)
        .Append(interrupt.flags, 2);
  }
  madt.Append(kLocalApicNmi, 1)
      .Append(6, 1)
      .Append(kAllProcessors, 1)
      .Append(0, 2)   // As the bus has it.
      .Append(1, 1);  // LINT1.
  return std::move(madt).Finish();
}

}  // namespace annulus::acpi
