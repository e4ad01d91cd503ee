#ifndef TESTS_INTERLEAVING_MUTATION_H_
#define TESTS_INTERLEAVING_MUTATION_H_

#include "tests/interleaving/action.h"

namespace annulus::interleaving {

// One mistake, made on purpose in what a side's code does, to show that the
// checker would find it. The code itself stays as it is: the mistake is made
// where its accesses are recorded, or in the loop around it.
struct Mutation {
  enum class Kind {
    kNone,
    kNoFence,        // The fence in `call` does nothing.
    kRelaxedStore,   // A release store in `call` is relaxed.
    kRelaxedLoad,    // An acquire load in `call` is relaxed.
    kFirstTooEarly,  // Add(): the store that publishes comes before the rest.
    kEqualityTest,   // `call` notifies only if the event names the last of the
                     // entries written, not any of them.
    kWrongEvent,     // `call` stores its event with the wrap bit wrong (packed)
                     // or one too far (split).
    kNoRecheck,      // The loop ignores what `call` returns.
    kNoNotification,  // The loop ignores that `call` asks for a notification.
  };

  Kind kind = Kind::kNone;
  Call call = Call::kNone;

  bool Is(Kind k, Call c) const { return kind == k && call == c; }
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_MUTATION_H_
