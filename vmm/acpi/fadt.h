#ifndef VMM_ACPI_FADT_H_
#define VMM_ACPI_FADT_H_

#include <cstdint>
#include <vector>

#include "memory/guest_address.h"
#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {

// ACPI 6.5 §5.2.9 "Fixed ACPI Description Table (FADT)" of a hardware-reduced
// platform: no PM registers, no SCI; reset and sleep through 8-bit ports.
std::vector<uint8_t> BuildFadt(const AcpiConfig& config,
                               memory::GuestAddress dsdt);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_FADT_H_
