#ifndef VMM_ACPI_ROOT_TABLES_H_
#define VMM_ACPI_ROOT_TABLES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "memory/guest_address.h"

namespace annulus::acpi {

// ACPI 6.5 §5.2.5.3 "Root System Description Pointer (RSDP) Structure".
std::vector<uint8_t> BuildRsdp(memory::GuestAddress xsdt);

// ACPI 6.5 §5.2.8 "Extended System Description Table (XSDT)".
std::vector<uint8_t> BuildXsdt(absl::Span<const memory::GuestAddress> tables);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_ROOT_TABLES_H_
