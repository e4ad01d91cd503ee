#include "devices/platform/i8042.h"

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/platform/i8042_registers.h"

namespace annulus::platform {

void I8042::Read(uint64_t offset, absl::Span<uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] =
        offset + i == kI8042CommandOffset ? kI8042StatusOutputFull : uint8_t{0};
  }
}

void I8042::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    if (offset + i != kI8042CommandOffset) continue;
    const bool pulse = (data[i] & 0xf0) == kI8042CommandPulse;
    if (pulse && (data[i] & 1) == 0) control_.GuestReset();
  }
}

}  // namespace annulus::platform
