#ifndef VMM_ACPI_ACPI_TABLES_H_
#define VMM_ACPI_ACPI_TABLES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {

// All tables lie in [kTablesStart, kTablesEnd), the first of them the RSDP:
// there a guest finds it by itself too, as ACPI 6.5 §5.2.5.1 "Finding the RSDP
// on IA-PC Systems" says. The boot loader's memory map reserves it.
inline constexpr memory::GuestAddress kTablesStart{0xe0000};
inline constexpr memory::GuestAddress kTablesEnd{
    0xff000};  // Then the reset vector.

// Writes RSDP, XSDT, FADT, DSDT, MADT and, with PCI, MCFG, for a
// hardware-reduced platform (ACPI 6.5 §4.1 "Hardware-Reduced ACPI"), and
// returns the address of the RSDP.
//
// Errors: InvalidArgument where a number of `config` cannot be expressed or
//   the tables outgrow their place; the message names it.
absl::StatusOr<memory::GuestAddress> WriteAcpiTables(
    const memory::GuestMemory& memory, const AcpiConfig& config);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_ACPI_TABLES_H_
