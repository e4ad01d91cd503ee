#include "vmm/acpi/aml_resources.h"

#include <cstddef>

namespace annulus::acpi {
namespace {

// Tags: a small item has its length in the tag, a large one in the two bytes
// that follow.
constexpr uint8_t kIoPortTag = 0x47;
constexpr uint8_t kEndTag = 0x79;
constexpr uint8_t kMemory32FixedTag = 0x86;
constexpr uint8_t kDWordAddressSpaceTag = 0x87;
constexpr uint8_t kWordAddressSpaceTag = 0x88;
constexpr uint8_t kExtendedInterruptTag = 0x89;
constexpr uint8_t kQWordAddressSpaceTag = 0x8a;

constexpr uint8_t kDecode16 = 1;
constexpr uint8_t kReadWrite = 1;

// Interrupt vector flags.
constexpr uint8_t kConsumer = 1 << 0;
constexpr uint8_t kEdgeTriggered = 1 << 1;

// Address space resource types.
constexpr uint8_t kMemoryRange = 0;
constexpr uint8_t kIoRange = 1;
constexpr uint8_t kBusNumberRange = 2;
// General flags: produced, positively decoded, both ends fixed.
constexpr uint8_t kMinAndMaxFixed = 0x0c;
// Type-specific flags.
constexpr uint8_t kMemoryReadWrite = 1;  // Not cacheable.
constexpr uint8_t kIoEntireRange = 3;

void Append(ResourceDescriptor& to, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    to.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
}

// `width` is how many bytes each number has.
ResourceDescriptor AddressSpace(uint8_t tag, size_t width, uint8_t type,
                                uint8_t type_flags, uint64_t first,
                                uint64_t last) {
  ResourceDescriptor descriptor = {tag};
  Append(descriptor, 3 + 5 * width, 2);
  descriptor.push_back(type);
  descriptor.push_back(kMinAndMaxFixed);
  descriptor.push_back(type_flags);
  Append(descriptor, 0, width);  // Granularity: 0 where both ends are fixed.
  Append(descriptor, first, width);
  Append(descriptor, last, width);
  Append(descriptor, 0, width);  // Translation offset.
  Append(descriptor, last - first + 1, width);
  return descriptor;
}

}  // namespace

ResourceDescriptor IoResource(uint16_t base, uint8_t size) {
  ResourceDescriptor descriptor = {kIoPortTag, kDecode16};
  Append(descriptor, base, 2);  // The lowest base,
  Append(descriptor, base, 2);  // and the highest.
  descriptor.push_back(1);      // Alignment.
  descriptor.push_back(size);
  return descriptor;
}

ResourceDescriptor Memory32FixedResource(uint32_t base, uint32_t size) {
  ResourceDescriptor descriptor = {kMemory32FixedTag};
  Append(descriptor, 9, 2);
  descriptor.push_back(kReadWrite);
  Append(descriptor, base, 4);
  Append(descriptor, size, 4);
  return descriptor;
}

ResourceDescriptor InterruptResource(uint32_t gsi) {
  ResourceDescriptor descriptor = {kExtendedInterruptTag};
  Append(descriptor, 6, 2);
  descriptor.push_back(kConsumer | kEdgeTriggered);
  descriptor.push_back(1);  // How many interrupts follow.
  Append(descriptor, gsi, 4);
  return descriptor;
}

ResourceDescriptor WordBusNumberResource(uint16_t first, uint16_t last) {
  return AddressSpace(kWordAddressSpaceTag, 2, kBusNumberRange, 0, first, last);
}

ResourceDescriptor WordIoResource(uint16_t first, uint16_t last) {
  return AddressSpace(kWordAddressSpaceTag, 2, kIoRange, kIoEntireRange, first,
                      last);
}

ResourceDescriptor DWordMemoryResource(uint32_t first, uint32_t last) {
  return AddressSpace(kDWordAddressSpaceTag, 4, kMemoryRange, kMemoryReadWrite,
                      first, last);
}

ResourceDescriptor QWordMemoryResource(uint64_t first, uint64_t last) {
  return AddressSpace(kQWordAddressSpaceTag, 8, kMemoryRange, kMemoryReadWrite,
                      first, last);
}

Aml AmlResourceTemplate(const std::vector<ResourceDescriptor>& descriptors) {
  std::vector<uint8_t> bytes;
  for (const ResourceDescriptor& descriptor : descriptors) {
    bytes.insert(bytes.end(), descriptor.begin(), descriptor.end());
  }
  bytes.push_back(kEndTag);
  bytes.push_back(0);  // No checksum.
  return AmlBuffer(bytes);
}

}  // namespace annulus::acpi
