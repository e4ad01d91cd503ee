#ifndef DEVICES_PCI_CONFIG_REGISTERS_H_
#define DEVICES_PCI_CONFIG_REGISTERS_H_

#include <cstdint>

// Offsets and bits of a type 0 configuration space header (PCI Local Bus 3.0
// §6.1 "Configuration Space Organization") and of the MSI-X capability (§6.8.2
// "MSI-X Capability and Table Structure").

namespace annulus::pci {

enum ConfigRegister : uint32_t {
  kConfigVendorId = 0x00,
  kConfigDeviceId = 0x02,
  kConfigCommand = 0x04,
  kConfigStatus = 0x06,
  kConfigRevisionId = 0x08,
  kConfigClassCode = 0x09,  // Three bytes.
  kConfigHeaderType = 0x0e,
  kConfigBar0 = 0x10,
  kConfigSubsystemVendorId = 0x2c,
  kConfigSubsystemId = 0x2e,
  kConfigCapabilitiesPointer = 0x34,
  kConfigInterruptLine = 0x3c,
  kConfigInterruptPin = 0x3d,
  kConfigHeaderEnd = 0x40,
};

inline constexpr uint16_t kCommandMemorySpace = 1 << 1;
inline constexpr uint16_t kCommandBusMaster = 1 << 2;
inline constexpr uint16_t kCommandParityErrorResponse = 1 << 6;
inline constexpr uint16_t kCommandSerrEnable = 1 << 8;
inline constexpr uint16_t kCommandInterruptDisable = 1 << 10;

inline constexpr uint16_t kStatusInterrupt = 1 << 3;
inline constexpr uint16_t kStatusCapabilitiesList = 1 << 4;

inline constexpr uint32_t kBarMemory64 = 0b100;  // Not prefetchable.

inline constexpr uint8_t kCapabilityVendorSpecific = 0x09;
inline constexpr uint8_t kCapabilityMsix = 0x11;

// Within the MSI-X capability.
inline constexpr uint32_t kMsixMessageControl = 2;
inline constexpr uint16_t kMsixFunctionMask = 1 << 14;
inline constexpr uint16_t kMsixEnable = 1 << 15;
inline constexpr uint32_t kMsixMaxVectors = 2048;

// Within a table entry, 16 bytes each.
inline constexpr uint32_t kMsixEntrySize = 16;
inline constexpr uint32_t kMsixVectorControlMask = 1;

// Class codes: base class, sub-class, programming interface.
inline constexpr uint32_t kClassHostBridge = 0x060000;
inline constexpr uint32_t kClassOther = 0x00ff00;

}  // namespace annulus::pci

#endif  // DEVICES_PCI_CONFIG_REGISTERS_H_
