#ifndef VMM_ACPI_AML_RESOURCES_H_
#define VMM_ACPI_AML_RESOURCES_H_

#include <cstdint>
#include <vector>

#include "vmm/acpi/aml.h"

// The resource descriptors of a _CRS: ACPI 6.5 §6.4 "Resource Data Types for
// ACPI". A device consumes Io, Memory32Fixed and Interrupt; a bridge produces
// the address spaces, which are for what is behind it.

namespace annulus::acpi {

using ResourceDescriptor = std::vector<uint8_t>;

// §6.4.2.5 "I/O Port Descriptor", at one fixed place.
ResourceDescriptor IoResource(uint16_t base, uint8_t size);
// §6.4.3.4 "32-Bit Fixed Memory Range Descriptor", writable.
ResourceDescriptor Memory32FixedResource(uint32_t base, uint32_t size);
// §6.4.3.6 "Extended Interrupt Descriptor": edge, active high, exclusive.
ResourceDescriptor InterruptResource(uint32_t gsi);

// §6.4.3.5 "Address Space Resource Descriptors"; [first, last], not empty.
ResourceDescriptor WordBusNumberResource(uint16_t first, uint16_t last);
ResourceDescriptor WordIoResource(uint16_t first, uint16_t last);
ResourceDescriptor DWordMemoryResource(uint32_t first, uint32_t last);
ResourceDescriptor QWordMemoryResource(uint64_t first, uint64_t last);

// The descriptors and an end tag, as a buffer.
Aml AmlResourceTemplate(const std::vector<ResourceDescriptor>& descriptors);

}  // namespace annulus::acpi

#endif  // VMM_ACPI_AML_RESOURCES_H_
