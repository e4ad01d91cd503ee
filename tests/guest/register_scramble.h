#ifndef TESTS_GUEST_REGISTER_SCRAMBLE_H_
#define TESTS_GUEST_REGISTER_SCRAMBLE_H_

#include <cstdint>

#include "tests/guest/io.h"

namespace guest {

// Reads, and writes a pattern, at each address of [start, end), at each width,
// whether aligned or not.
inline void ScrambleMemory(uint64_t start, uint64_t end) {
  constexpr uint64_t kPattern = 0xa5c3'0ff0'9669'ffff;
  for (uint64_t address = start; address < end; ++address) {
    MmioRead<uint8_t>(address);
    MmioRead<uint16_t>(address);
    MmioRead<uint32_t>(address);
    MmioRead<uint64_t>(address);
    MmioWrite<uint8_t>(address, static_cast<uint8_t>(kPattern));
    MmioWrite<uint16_t>(address, static_cast<uint16_t>(kPattern));
    MmioWrite<uint32_t>(address, static_cast<uint32_t>(kPattern));
    MmioWrite<uint64_t>(address, kPattern);
  }
}

}  // namespace guest

#endif  // TESTS_GUEST_REGISTER_SCRAMBLE_H_
