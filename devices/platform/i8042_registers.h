#ifndef DEVICES_PLATFORM_I8042_REGISTERS_H_
#define DEVICES_PLATFORM_I8042_REGISTERS_H_

#include <cstdint>

// Ports of the PC keyboard controller (Intel 8042).

namespace annulus::platform {

inline constexpr uint16_t kI8042Port = 0x60;
inline constexpr uint16_t kI8042PortCount = 5;  // To 0x64.

// Offsets from kI8042Port. Those between belong to others and do nothing.
inline constexpr uint16_t kI8042DataOffset = 0;
inline constexpr uint16_t kI8042CommandOffset = 4;  // Reads as status.

inline constexpr uint8_t kI8042StatusOutputFull = 0x01;
inline constexpr uint8_t kI8042StatusInputFull = 0x02;

// 0xf0 to 0xff: pulse low each output line whose bit in 3 to 0 is clear. Line 0
// is the processor's reset.
inline constexpr uint8_t kI8042CommandPulse = 0xf0;
inline constexpr uint8_t kI8042CommandReset = 0xfe;

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_I8042_REGISTERS_H_
