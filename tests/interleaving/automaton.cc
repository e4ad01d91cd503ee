#include "tests/interleaving/automaton.h"

#include <cstring>
#include <optional>

#include "absl/types/span.h"

namespace annulus::interleaving {

Automaton::Automaton(Program& program, Recorder& recorder)
    : program_(program), recorder_(recorder) {
  start_ = Discover(Intern(), {});
}

// The index of the program's present state.
uint32_t Automaton::Intern() {
  const absl::Span<uint8_t> state = program_.State();
  std::string bytes(reinterpret_cast<const char*>(state.data()), state.size());
  const auto [found, inserted] =
      interned_.try_emplace(bytes, static_cast<uint32_t>(checkpoints_.size()));
  if (inserted) checkpoints_.push_back(std::move(bytes));
  return found->second;
}

Automaton::Node Automaton::Next(Node node, uint64_t result) {
  const auto found = next_.find(std::pair(node, result));
  if (found != next_.end()) return found->second;
  std::vector<uint64_t> results = nodes_[node].results;
  results.push_back(result);
  const Node next = Discover(nodes_[node].checkpoint, std::move(results));
  next_.emplace(std::pair(node, result), next);
  return next;
}

Automaton::Node Automaton::Discover(uint32_t checkpoint,
                                    std::vector<uint64_t> results) {
  while (true) {
    if (results.empty()) {
      const auto root = roots_.find(checkpoint);
      if (root != roots_.end()) return root->second;
    }
    const std::string& bytes = checkpoints_[checkpoint];
    const absl::Span<uint8_t> state = program_.State();
    std::memcpy(state.data(), bytes.data(), bytes.size());
    const std::optional<Action> action = recorder_.Run(program_, results);
    if (action.has_value()) {
      const Node node = static_cast<Node>(nodes_.size());
      if (results.empty()) roots_.emplace(checkpoint, node);
      nodes_.push_back({.action = *action,
                        .checkpoint = checkpoint,
                        .results = std::move(results)});
      return node;
    }
    checkpoint = Intern();
    results.clear();
  }
}

}  // namespace annulus::interleaving
