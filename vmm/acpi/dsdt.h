#ifndef VMM_ACPI_DSDT_H_
#define VMM_ACPI_DSDT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {

// Devices are named V000 to VFFF.
inline constexpr size_t kMaxMmioDevices = 0x1000;

// ACPI 6.5 §5.2.11.1 "Differentiated System Description Table (DSDT)": the PCI
// host bridge, the serial port, the clock, the power button, the virtio-mmio
// devices, and \_S5.
// REQUIRES: `config` has been checked by WriteAcpiTables().
std::vector<uint8_t> BuildDsdt(const AcpiConfig& config);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_DSDT_H_
