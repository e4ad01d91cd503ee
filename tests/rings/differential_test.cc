// The real rings against the model of the specification: random steps of both
// sides, and after each of them what both sides see and what lies in memory.
//
// A driver of ours is not all that a device meets, nor the other way around.
// So there are three pairs: both sides real; a driver that makes use of every
// freedom that the specification gives it with the real device; and the real
// driver with such a device.
//
// A failure names its seed. ANNULUS_RINGS_SEED=n runs that one alone,
// ANNULUS_RINGS_STEPS=n takes so many steps for each case, and
// ANNULUS_RINGS_SEED=random takes the seed from the clock.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/sanitizer.h"
#include "gtest/gtest.h"
#include "tests/rings/packed_rings.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"
#include "tests/rings/rings.h"
#include "tests/rings/split_rings.h"

namespace annulus::virtio::differential {
namespace {

std::unique_ptr<Rings> MakeRings(const Case& c, uint64_t seed) {
  if (c.packed) return MakePackedRings(c, seed);
  return MakeSplitRings(c, seed);
}

uint64_t Steps(const Case& c) {
  if (const char* steps = std::getenv("ANNULUS_RINGS_STEPS")) {
    return std::strtoull(steps, nullptr, 10);
  }
  const uint64_t steps = c.size > 4096 ? 2000 : 12000;
  return kSanitizer ? steps / 4 : steps;
}

uint64_t Seed(const Case& c) {
  const char* seed = std::getenv("ANNULUS_RINGS_SEED");
  if (seed == nullptr) return 0x5eed + c.size;
  if (std::strcmp(seed, "random") != 0) return std::strtoull(seed, nullptr, 10);
  return static_cast<uint64_t>(
      std::chrono::steady_clock::now().time_since_epoch().count());
}

class DifferentialTest : public testing::TestWithParam<Case> {};

TEST_P(DifferentialTest, RealRingsDoWhatTheSpecificationSays) {
  const uint64_t seed = Seed(GetParam());
  const std::unique_ptr<Rings> rings = MakeRings(GetParam(), seed);
  const uint64_t steps = Steps(GetParam());
  for (uint64_t i = 0; i < steps; ++i) {
    const Verdict verdict = rings->Step(i);
    ASSERT_EQ(verdict, "") << "step " << i
                           << "; again with ANNULUS_RINGS_SEED=" << seed;
  }
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const bool packed : {true, false}) {
    const std::vector<uint16_t> sizes =
        packed ? std::vector<uint16_t>{1, 2, 3, 5, 7, 16, 33, 100, 1000, 32768}
               : std::vector<uint16_t>{1, 2, 4, 8, 32, 64, 256, 32768};
    for (const Pair pair :
         {Pair::kBothReal, Pair::kRealDevice, Pair::kRealDriver}) {
      for (const unsigned bits : {0, 1, 2, 3, 4, 5, 6, 7}) {
        for (const uint16_t size : sizes) {
          cases.push_back({.packed = packed,
                           .features = {.event_idx = (bits & 1) != 0,
                                        .indirect = (bits & 2) != 0,
                                        .in_order = (bits & 4) != 0},
                           .pair = pair,
                           .size = size});
        }
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Rings, DifferentialTest, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& info) {
                           return Name(info.param);
                         });

}  // namespace
}  // namespace annulus::virtio::differential
