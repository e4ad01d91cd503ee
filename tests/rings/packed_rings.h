#ifndef TESTS_RINGS_PACKED_RINGS_H_
#define TESTS_RINGS_PACKED_RINGS_H_

#include <cstdint>
#include <memory>

#include "tests/rings/ring_case.h"
#include "tests/rings/rings.h"

namespace annulus::virtio::differential {

// Rings of the packed format; `c` says so.
std::unique_ptr<Rings> MakePackedRings(const Case& c, uint64_t seed);

}  // namespace annulus::virtio::differential

#endif  // TESTS_RINGS_PACKED_RINGS_H_
