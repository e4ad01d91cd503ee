#ifndef VMM_ACPI_MADT_H_
#define VMM_ACPI_MADT_H_

#include <cstdint>
#include <vector>

#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {

// ACPI 6.5 §5.2.12 "Multiple APIC Description Table (MADT)": one local APIC for
// each vCPU, one I/O APIC from GSI 0 up, NMI on LINT1.
// REQUIRES: cpu_count <= 255.
std::vector<uint8_t> BuildMadt(const AcpiConfig& config);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_MADT_H_
