#ifndef TESTS_INTERLEAVING_CHECKER_H_
#define TESTS_INTERLEAVING_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/interleaving/automaton.h"
#include "tests/interleaving/locations.h"

namespace annulus::interleaving {

// How the hardware may let accesses happen.
enum class Model {
  kWeak,  // C++20's release and acquire, as Arm has them.
  kX86,   // Every store releases, every load acquires: x86-TSO and more.
};

// What Explore() found.
struct Exploration {
  bool complete = false;  // Every state was visited, without a failure.
  size_t states = 0;
  size_t transitions = 0;
  size_t depth = 0;    // The longest of the shortest ways to a state.
  size_t resting = 0;  // States in which both sides sleep with nothing to do.
  size_t driver_nodes = 0;
  size_t device_nodes = 0;
  // A failure: what is wrong, and the shortest way to it, a line per action.
  std::string failure;
  std::vector<std::string> trace;

  std::string Summary() const;  // One line.
};

struct Method {
  Model model = Model::kWeak;
  bool trust_fences = true;  // No fence is left out: Location::fenced holds.
  bool reduce = true;        // Leave out orders that are the same as others.
  size_t max_states = 0;     // Then it gives up.
};

// Tries every interleaving of both sides, and each value that the model lets a
// load see, breadth first.
Exploration Explore(const Locations& locations, Automaton& driver,
                    Automaton& device, const Method& method);

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_CHECKER_H_
