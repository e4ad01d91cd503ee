#ifndef DEVICES_PLATFORM_RTC_REGISTERS_H_
#define DEVICES_PLATFORM_RTC_REGISTERS_H_

#include <cstdint>

// The MC146818A real-time clock with CMOS RAM, as it sits in a PC. Register
// names are those of the Motorola data sheet.

namespace annulus::platform {

inline constexpr uint16_t kRtcPort = 0x70;
inline constexpr uint16_t kRtcPortCount = 2;

// Offsets from kRtcPort.
inline constexpr uint16_t kRtcIndexOffset = 0;
inline constexpr uint16_t kRtcDataOffset = 1;

inline constexpr uint8_t kRtcIndexMask = 0x7f;  // Bit 7 masks NMI: not ours.

// Values of the index.
inline constexpr uint8_t kRtcSeconds = 0x00;
inline constexpr uint8_t kRtcMinutes = 0x02;
inline constexpr uint8_t kRtcHours = 0x04;
inline constexpr uint8_t kRtcDayOfWeek = 0x06;  // 1 is Sunday.
inline constexpr uint8_t kRtcDayOfMonth = 0x07;
inline constexpr uint8_t kRtcMonth = 0x08;
inline constexpr uint8_t kRtcYear = 0x09;  // Of the century.
inline constexpr uint8_t kRtcRegisterA = 0x0a;
inline constexpr uint8_t kRtcRegisterB = 0x0b;
inline constexpr uint8_t kRtcRegisterC = 0x0c;
inline constexpr uint8_t kRtcRegisterD = 0x0d;
inline constexpr uint8_t kRtcShutdownStatus = 0x0f;
inline constexpr uint8_t kRtcCentury = 0x32;  // CENTURY of the FADT.

inline constexpr uint8_t kRtcUpdateInProgress = 0x80;  // Register A, UIP.
inline constexpr uint8_t kRtcDividers = 0x26;  // Register A: 32768 Hz, 1024 Hz.

// Register B.
inline constexpr uint8_t kRtcSet = 0x80;        // SET: updates are halted.
inline constexpr uint8_t kRtcBinary = 0x04;     // DM: binary, else BCD.
inline constexpr uint8_t kRtcHours24 = 0x02;    // 24/12.
inline constexpr uint8_t kRtcDaylight = 0x01;   // DSE.
inline constexpr uint8_t kRtcAfternoon = 0x80;  // Hours register, 12-hour mode.

inline constexpr uint8_t kRtcValid = 0x80;  // Register D, VRT.

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_RTC_REGISTERS_H_
