#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string>
#include <vector>

#include "base/sanitizer.h"
#include "gtest/gtest.h"
#include "tests/interleaving/scenario.h"

// Every interleaving of the real queues and drivers, ring by ring; each test
// prints what it covered. Set ANNULUS_INTERLEAVING_SOAK for rings of 3 and 4 on
// which everything is chosen freely: minutes, and some GiB.

namespace annulus::interleaving {

void PrintTo(const Scenario& scenario, std::ostream* os) {
  *os << scenario.Name();
}

namespace {

constexpr size_t kMaxStates = 4'000'000;
constexpr size_t kSoakStates = 60'000'000;

// A packed ring's states come back after two laps: any number of buffers can be
// tried. A split ring's indices go on to 2^16: two laps and one more.
uint32_t Buffers(bool packed, uint32_t size) {
  return packed ? 0 : 2 * size + 1;
}

// Both rings, with flags, with the event index, and where the format lets each
// side decide with one of each.
std::vector<Scenario> Modes(uint16_t size) {
  std::vector<Scenario> modes;
  for (const bool packed : {false, true}) {
    if (!packed && size == 3) continue;  // A power of 2.
    for (const bool driver : {false, true}) {
      for (const bool device : {false, true}) {
        if (!packed && driver != device) continue;
        modes.push_back({.packed = packed,
                         .size = size,
                         .driver_event_idx = driver,
                         .device_event_idx = device,
                         .buffers = Buffers(packed, size)});
      }
    }
  }
  return modes;
}

// Rings of 1 and 2: each side does what it likes whenever it likes.
std::vector<Scenario> Free() {
  std::vector<Scenario> all = Modes(1);
  for (Scenario s : Modes(1)) {
    s.driver_stays_enabled = true;
    s.device_polls = true;
    all.push_back(s);
  }
  if (kSanitizer) return all;
  for (const Scenario& mode : Modes(2)) all.push_back(mode);
  return all;
}

// Sides that do as they please in one more respect.
std::vector<Scenario> Habits() {
  std::vector<Scenario> all;
  for (const Scenario& mode : Modes(2)) {
    if (kSanitizer || mode.driver_event_idx != mode.device_event_idx) continue;
    Scenario s = mode;
    s.device_stops = true;
    all.push_back(s);
    s = mode;
    s.device_reorders = true;
    all.push_back(s);
    s = mode;
    s.device_polls = true;
    all.push_back(s);
    s = mode;
    s.driver_stays_enabled = true;
    all.push_back(s);
  }
  return all;
}

// Buffers of two elements, alone and mixed with single ones.
std::vector<Scenario> Chains() {
  std::vector<Scenario> all;
  for (const uint16_t size : {2, 3, 4}) {
    for (const Scenario& mode : Modes(size)) {
      if (kSanitizer && size > 2) continue;
      Scenario s = mode;
      s.shape = Shape::kPair;
      // In twos, this many wrap a ring of 4 twice.
      if (size == 4) s.buffers = 5;
      all.push_back(s);
      if (mode.driver_event_idx != mode.device_event_idx) continue;
      s = mode;
      s.shape = Shape::kMixed;
      if (size == 3) s.batch = 2;
      if (size < 4) all.push_back(s);
      s.shape = Shape::kIndirect;
      if (size == 2 && !kSanitizer) all.push_back(s);
    }
  }
  return all;
}

// Rings of 3 and 4: batches of each size. The device still takes what it sees.
std::vector<Scenario> Batches() {
  std::vector<Scenario> all;
  for (const uint16_t size : {3, 4}) {
    for (const Scenario& mode : Modes(size)) {
      if (kSanitizer || mode.driver_event_idx != mode.device_event_idx) {
        continue;
      }
      // Rings of 4: with flags in a single size, for time's sake.
      const bool all_batches = size == 3 || mode.driver_event_idx;
      for (uint32_t batch = 1; batch <= size; ++batch) {
        if (!all_batches && batch != 3) continue;
        Scenario s = mode;
        s.batch = batch;
        s.buffers = 2u * size + 1;
        all.push_back(s);
      }
    }
  }
  return all;
}

// VIRTIO_F_IN_ORDER, batches on both sides, delayed callbacks.
std::vector<Scenario> Extensions() {
  std::vector<Scenario> all;
  for (const uint16_t size : {1, 2, 3, 4}) {
    for (const Scenario& mode : Modes(size)) {
      if (mode.driver_event_idx != mode.device_event_idx) continue;
      if (size > 2 && (kSanitizer || !mode.driver_event_idx)) continue;
      if (size > 1 && kSanitizer) continue;
      Scenario s = mode;
      if (size > 2) {
        s.batch = size - 1;
        s.buffers = 2u * size + 1;
      }
      s.in_order = true;
      all.push_back(s);
      s.device_takes = true;
      s.driver_batches = true;
      all.push_back(s);
      s.shape = Shape::kReadable;
      all.push_back(s);
      if (size == 4) continue;
      s.shape = Shape::kSingle;
      s.in_order = false;
      all.push_back(s);
      if (!mode.driver_event_idx || size == 1) continue;
      s.device_takes = false;
      s.driver_batches = false;
      s.driver_delays = true;
      all.push_back(s);
    }
  }
  return all;
}

std::vector<Scenario> Soak() {
  std::vector<Scenario> all;
  if (std::getenv("ANNULUS_INTERLEAVING_SOAK") == nullptr) return all;
  for (const uint16_t size : {3, 4}) {
    for (const Scenario& mode : Modes(size)) {
      Scenario s = mode;
      s.buffers = size == 3 ? 0 : 2u * size + 1;
      all.push_back(s);
      s.buffers = 2u * size + 1;
      s.batch = 2;
      s.device_reorders = true;
      s.device_stops = true;
      all.push_back(s);
    }
  }
  return all;
}

class InterleavingTest : public ::testing::TestWithParam<Scenario> {
 protected:
  static void ExpectCorrect(size_t max_states) {
    const Exploration found = Check(GetParam(), max_states);
    std::printf("%s:\n    %s\n", GetParam().Name().c_str(),
                found.Summary().c_str());
    EXPECT_EQ(found.failure, "") << [&] {
      std::string trace;
      for (const std::string& line : found.trace) trace += line + "\n";
      return trace;
    }();
    EXPECT_TRUE(found.complete);
    EXPECT_GT(found.resting, 0u) << "nothing was ever done";
  }
};

TEST_P(InterleavingTest, NoWakeUpIsLostAndNoBuffer) {
  ExpectCorrect(kMaxStates);
}

INSTANTIATE_TEST_SUITE_P(Free, InterleavingTest, ::testing::ValuesIn(Free()));
INSTANTIATE_TEST_SUITE_P(Habits, InterleavingTest,
                         ::testing::ValuesIn(Habits()));
INSTANTIATE_TEST_SUITE_P(Chains, InterleavingTest,
                         ::testing::ValuesIn(Chains()));
INSTANTIATE_TEST_SUITE_P(Extensions, InterleavingTest,
                         ::testing::ValuesIn(Extensions()));
INSTANTIATE_TEST_SUITE_P(Batches, InterleavingTest,
                         ::testing::ValuesIn(Batches()));

// What the checker leaves out as the same as something else, it may leave out:
// each side gets to the same points with it and without.
TEST(ReductionTest, LeavesOutNothingThatASideCouldSee) {
  std::vector<Scenario> scenarios = Modes(1);
  if (!kSanitizer) {
    for (Scenario scenario : Modes(2)) {
      scenario.buffers = 3;
      if (!scenario.packed) scenarios.push_back(scenario);
    }
  }
  for (Scenario scenario : scenarios) {
    const Exploration reduced = Check(scenario, kMaxStates);
    scenario.every_order = true;
    const Exploration full = Check(scenario, kMaxStates);
    std::printf("%s, every order:\n    %s\n", scenario.Name().c_str(),
                full.Summary().c_str());
    EXPECT_TRUE(full.complete) << full.failure;
    EXPECT_GT(full.states, reduced.states);
    EXPECT_EQ(full.driver_nodes, reduced.driver_nodes);
    EXPECT_EQ(full.device_nodes, reduced.device_nodes);
  }
}

class InterleavingSoakTest : public InterleavingTest {};

TEST_P(InterleavingSoakTest, NoWakeUpIsLostAndNoBuffer) {
  ExpectCorrect(kSoakStates);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(InterleavingTest);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(InterleavingSoakTest);
INSTANTIATE_TEST_SUITE_P(Soak, InterleavingSoakTest,
                         ::testing::ValuesIn(Soak()));

}  // namespace
}  // namespace annulus::interleaving
