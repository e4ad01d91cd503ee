#ifndef DEVICES_PLATFORM_ACPI_PM_REGISTERS_H_
#define DEVICES_PLATFORM_ACPI_PM_REGISTERS_H_

#include <cstdint>

// The power management registers of a hardware-reduced ACPI machine, as the
// FADT and the \_S5 package announce them: ACPI 6.5 §4.8.3.6 "Reset Register"
// and §4.8.3.7 "Sleep Control and Status Registers". The port numbers are our
// choice; the tables, the device and the microguest share this file.

namespace annulus::platform {

inline constexpr uint16_t kAcpiPmPort = 0x600;
inline constexpr uint16_t kAcpiPmPortCount = 3;

// Offsets from kAcpiPmPort; each register is one byte.
inline constexpr uint16_t kAcpiSleepControlOffset = 0;  // SLEEP_CONTROL_REG
inline constexpr uint16_t kAcpiSleepStatusOffset = 1;   // SLEEP_STATUS_REG
inline constexpr uint16_t kAcpiResetOffset = 2;         // RESET_REG

inline constexpr uint16_t kAcpiSleepControlPort =
    kAcpiPmPort + kAcpiSleepControlOffset;
inline constexpr uint16_t kAcpiSleepStatusPort =
    kAcpiPmPort + kAcpiSleepStatusOffset;
inline constexpr uint16_t kAcpiResetPort = kAcpiPmPort + kAcpiResetOffset;

// SLEEP_CONTROL_REG.
inline constexpr int kAcpiSleepTypeShift = 2;        // SLP_TYP, bits 4 to 2.
inline constexpr uint8_t kAcpiSleepTypeMask = 0x1c;  // The same, in place.
inline constexpr uint8_t kAcpiSleepEnable = 0x20;    // SLP_EN, write-only.

// SLEEP_STATUS_REG.
inline constexpr uint8_t kAcpiWakeStatus = 0x80;  // WAK_STS, write 1 to clear.

inline constexpr uint8_t kAcpiSleepTypeS5 = 5;  // First element of \_S5.
inline constexpr uint8_t kAcpiResetValue = 1;   // RESET_VALUE of the FADT.

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_ACPI_PM_REGISTERS_H_
