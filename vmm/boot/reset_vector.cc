#include "vmm/boot/reset_vector.h"

namespace annulus::boot {

absl::Status WriteResetVector(const memory::GuestMemory& memory, uint16_t port,
                              uint8_t value) {
  const uint8_t code[] = {
      0xba,  static_cast<uint8_t>(port), static_cast<uint8_t>(port >> 8), 0xb0,
      value,  // mov dx, port; mov al, value
      0xee,   // out dx, al
      0xf4,   // hlt
      0xeb,
      0xfd,  // jmp to the hlt, as an interrupt would end it
  };
  if (!memory.Write(kResetVector, code)) {
    return absl::FailedPreconditionError("no RAM for the reset vector");
  }
  return absl::OkStatus();
}

}  // namespace annulus::boot
