#ifndef TESTS_INTERLEAVING_LAYOUT_H_
#define TESTS_INTERLEAVING_LAYOUT_H_

#include <cstdint>

#include "tests/interleaving/locations.h"
#include "tests/interleaving/scenario.h"

namespace annulus::interleaving {

// Where what lies in the shared memory. Guest-physical addresses are offsets
// plus kRamStart.
inline constexpr uint64_t kRamStart = 0x10000;
inline constexpr uint32_t kDescriptors = 0;  // Descriptor table, or ring.
inline constexpr uint32_t kDriverArea = 0x100;
inline constexpr uint32_t kDeviceArea = 0x200;
inline constexpr uint32_t kTables = 0x300;  // Indirect, of two entries each.
inline constexpr uint32_t kReadableWords = 0x400;  // One for each buffer.
inline constexpr uint32_t kWritableWords = 0x480;

// Names all fields, and says which of them synchronize.
void DescribeMemory(const Scenario& scenario, Locations& locations);

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_LAYOUT_H_
