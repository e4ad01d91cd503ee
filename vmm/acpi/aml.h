#ifndef VMM_ACPI_AML_H_
#define VMM_ACPI_AML_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// As much of an encoder for ACPI Machine Language as our tables need: ACPI 6.5
// §20.2 "AML Grammar Definition". Each function returns the bytes of one term;
// terms are nested by passing them on.
//
// Trust: arguments are ours. A name or id of a wrong form is our own bug.

namespace annulus::acpi {

using Aml = std::vector<uint8_t>;

// A constant in its shortest encoding.
Aml AmlInteger(uint64_t value);
// REQUIRES: printable ASCII.
Aml AmlString(absl::string_view text);
// A plug-and-play id such as "PNP0A03", compressed to 32 bits as §19.3.4
// "ASL Macros" says for EISAID.
Aml AmlEisaId(absl::string_view id);
Aml AmlBuffer(absl::Span<const uint8_t> bytes);
// REQUIRES: at most 255 elements.
Aml AmlPackage(const std::vector<Aml>& elements);

// Names are one segment of at most four characters, padded with '_', perhaps
// after a '\': "\_SB", "PCI0", "_HID".
Aml AmlName(absl::string_view name, const Aml& value);
Aml AmlScope(absl::string_view name, const std::vector<Aml>& terms);
Aml AmlDevice(absl::string_view name, const std::vector<Aml>& terms);
// Serialized: one call at a time. REQUIRES: at most 7 arguments.
Aml AmlMethod(absl::string_view name, uint8_t arguments,
              const std::vector<Aml>& terms);

// Tells the operating system of an event of the device `name`.
Aml AmlNotify(absl::string_view name, uint64_t value);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_AML_H_
