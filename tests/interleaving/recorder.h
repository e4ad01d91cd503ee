#ifndef TESTS_INTERLEAVING_RECORDER_H_
#define TESTS_INTERLEAVING_RECORDER_H_

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "tests/interleaving/action.h"
#include "tests/interleaving/locations.h"
#include "tests/interleaving/mutation.h"

namespace annulus::interleaving {

// What a mutation has to remember about the entries that a side wrote.
struct WrittenEntry {
  uint16_t last = 0;  // Index (split) or position as in an event (packed).
  uint16_t staged = 0;
};

// One side's loop around its end of the ring, cut into steps.
class Program {
 public:
  virtual ~Program() = default;

  // All that Step() depends on and changes, apart from the shared memory; stays
  // where it is. Plain bytes: they are saved and put back.
  virtual absl::Span<uint8_t> State() = 0;

  // Runs to the next point at which nothing but State() is alive. Given up in
  // the middle: no destructor may be needed.
  virtual void Step() = 0;
};

// Runs a Program's step without another side: the results of its first actions
// are given, and the one after these is what one wants to know.
//
// Threads: none but one; a Recorder is active only within Run().
class Recorder {
 public:
  Recorder(Locations& locations, const Mutation& mutation)
      : locations_(locations), mutation_(mutation) {}

  // The action that program.Step() does after those with `results`; nullopt if
  // it ends instead, having done exactly these.
  std::optional<Action> Run(Program& program,
                            absl::Span<const uint64_t> results);

  // For programs, in Step().
  void Enter(Call call) { call_ = call; }
  void Leave() { call_ = Call::kNone; }
  uint64_t Choose(uint64_t options);
  void Notify();
  Wakeup Wait(uint64_t in_flight, bool may_add);
  [[noreturn]] void Fail(const char* text);
  const Mutation& mutation() const { return mutation_; }
  // Some event was loaded without a fence before: Location::fenced is wrong.
  bool saw_unfenced_load() const { return saw_unfenced_load_; }
  void RememberIn(WrittenEntry* written) { written_ = written; }

  // For the hooks of memory/shared_access.h.
  static Recorder* active() { return active_; }
  uint64_t Load(const void* at, uint8_t bytes, int order);
  void Store(void* at, uint64_t value, uint8_t bytes, int order);
  void Fence();

 private:
  // Gives the result of an action if it is known, else ends the run.
  uint64_t Do(Action action);

  uint64_t MutateEvent(uint64_t value, uint8_t bytes) const;
  void Remember(uint32_t offset, uint64_t value, uint8_t bytes);

  static inline Recorder* active_ = nullptr;

  Locations& locations_;
  const Mutation mutation_;
  WrittenEntry* written_ = nullptr;

  Program* program_ = nullptr;
  absl::Span<const uint64_t> results_;
  size_t position_ = 0;
  Call call_ = Call::kNone;
  bool after_fence_ = false;
  bool saw_unfenced_load_ = false;
  Action next_;
  std::vector<Action> held_;  // Stores that a mutation delays.
  std::jmp_buf escape_;
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_RECORDER_H_
