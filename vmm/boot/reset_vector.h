#ifndef VMM_BOOT_RESET_VECTOR_H_
#define VMM_BOOT_RESET_VECTOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::boot {

// Where a PC's CPU begins in real mode, f000:fff0; firmware has a jump there.
inline constexpr memory::GuestAddress kResetVector{0xffff0};

// All the firmware that a guest can miss: code at the reset vector that writes
// `value` to the 8-bit reset register at `port`, then halts. Debian's 6.1 was
// seen to jump there after a panic on this machine; so does reboot=bios.
//
// Errors: FailedPrecondition where there is no RAM.
absl::Status WriteResetVector(const memory::GuestMemory& memory, uint16_t port,
                              uint8_t value);

}  // namespace annulus::boot

#endif  // VMM_BOOT_RESET_VECTOR_H_
