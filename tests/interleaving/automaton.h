#ifndef TESTS_INTERLEAVING_AUTOMATON_H_
#define TESTS_INTERLEAVING_AUTOMATON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tests/interleaving/action.h"
#include "tests/interleaving/recorder.h"

namespace annulus::interleaving {

// One side as a graph: what it does next is a function of its state at the last
// step's end and of the results of its actions since. Nodes are found by
// running the side's code, each once, when the checker first gets there; steps
// that end in the same state end in the same node.
class Automaton {
 public:
  using Node = uint32_t;

  // Both outlive the automaton. The start is the program's present state.
  Automaton(Program& program, Recorder& recorder);

  Node start() const { return start_; }
  const Action& action(Node node) const { return nodes_[node].action; }
  Node Next(Node node, uint64_t result);
  size_t size() const { return nodes_.size(); }

 private:
  struct Entry {
    Action action;
    uint32_t checkpoint = 0;
    std::vector<uint64_t> results;  // Of the actions since the checkpoint.
  };

  Node Discover(uint32_t checkpoint, std::vector<uint64_t> results);
  uint32_t Intern();

  Program& program_;
  Recorder& recorder_;
  std::vector<Entry> nodes_;
  std::vector<std::string> checkpoints_;                 // State bytes.
  absl::flat_hash_map<std::string, uint32_t> interned_;  // Their indices.
  absl::flat_hash_map<uint32_t, Node> roots_;
  absl::flat_hash_map<std::pair<Node, uint64_t>, Node> next_;
  Node start_;
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_AUTOMATON_H_
