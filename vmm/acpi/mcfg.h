#ifndef VMM_ACPI_MCFG_H_
#define VMM_ACPI_MCFG_H_

#include <cstdint>
#include <vector>

#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {

// How much of the ECAM belongs to one bus: 32 devices, 8 functions, 4 KiB.
inline constexpr uint64_t kEcamBusSize = 1 << 20;

// PCI Firmware Specification 3.3 §4.1.2 "MCFG Table Description": where the
// configuration space of segment 0 is memory-mapped.
// REQUIRES: ecam.size is 1 to 256 times kEcamBusSize.
std::vector<uint8_t> BuildMcfg(const AcpiConfig& config);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_MCFG_H_
