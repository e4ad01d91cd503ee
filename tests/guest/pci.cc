#include "tests/guest/pci.h"

#include <cstdint>

#include "devices/pci/config_registers.h"
#include "tests/guest/machine.h"

namespace guest {

namespace pci = annulus::pci;

uint32_t PciFunction::FindCapability(uint8_t id, uint32_t previous) const {
  uint32_t offset = previous == 0
                        ? Read<uint8_t>(pci::kConfigCapabilitiesPointer)
                        : Read<uint8_t>(previous + 1);
  // The list is in 256 bytes and in order, or it is broken.
  for (int steps = 0; offset != 0; ++steps) {
    GUEST_CHECK(steps < 48 && offset >= pci::kConfigHeaderEnd);
    if (Read<uint8_t>(offset) == id) return offset;
    offset = Read<uint8_t>(offset + 1);
  }
  return 0;
}

uint64_t PciFunction::PlaceBar(uint32_t index, uint64_t address) const {
  const uint32_t low = pci::kConfigBar0 + 4 * index;
  const uint16_t command = Read<uint16_t>(pci::kConfigCommand);
  Write<uint16_t>(pci::kConfigCommand,
                  static_cast<uint16_t>(command & ~pci::kCommandMemorySpace));
  GUEST_CHECK((Read<uint32_t>(low) & 0b111) == pci::kBarMemory64);
  Write<uint32_t>(low, 0xffffffff);
  Write<uint32_t>(low + 4, 0xffffffff);
  const uint64_t mask =
      uint64_t{Read<uint32_t>(low + 4)} << 32 | (Read<uint32_t>(low) & ~0xfu);
  const uint64_t size = ~mask + 1;
  GUEST_CHECK(size >= 16 && (size & (size - 1)) == 0);
  GUEST_CHECK(address % size == 0);
  Write<uint32_t>(low, static_cast<uint32_t>(address));
  Write<uint32_t>(low + 4, static_cast<uint32_t>(address >> 32));
  Write<uint16_t>(pci::kConfigCommand,
                  static_cast<uint16_t>(command | pci::kCommandMemorySpace |
                                        pci::kCommandBusMaster));
  return size;
}

}  // namespace guest
