#ifndef TESTS_INTERLEAVING_SCENARIO_H_
#define TESTS_INTERLEAVING_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/interleaving/checker.h"
#include "tests/interleaving/mutation.h"

namespace annulus::interleaving {

// Greatest ring that is looked at.
inline constexpr uint16_t kMaxSize = 4;

// How many elements the buffers have.
enum class Shape {
  kSingle,    // One: to be read and to be written in turn.
  kReadable,  // One, to be read. A device that uses in order skips runs of
              // them.
  kPair,      // Two: one to be read, then one to be written.
  kMixed,     // One and two in turn.
  kIndirect,  // Two, through an indirect table.
};

// One ring and what is done with it. Whatever is not fixed here is chosen
// freely by each side, and every choice is tried: how many buffers the driver
// adds before it notifies, whether it does so when woken by a used buffer or at
// any other time.
struct Scenario {
  bool packed = false;
  uint16_t size = 1;
  // VIRTIO_F_EVENT_IDX. In a packed ring each side may negotiate it and still
  // use flags only, whence one for each; in a split ring both are the same.
  bool driver_event_idx = false;
  bool device_event_idx = false;
  Shape shape = Shape::kSingle;
  uint32_t buffers = 0;  // That the driver may add. 0: any number.
  // 0: the driver adds as many as it likes when it likes. Else this many, if
  // there is room, and nothing while asleep with buffers in flight.
  uint32_t batch = 0;
  // The device may stop after any chain, with more to come.
  bool device_stops = false;
  bool device_reorders = false;  // Chains may be pushed in reverse.
  bool device_polls = false;     // Looks once more before it asks for
                                 // notifications.
  // The driver may leave callbacks enabled while it works.
  bool driver_stays_enabled = false;
  bool in_order = false;        // VIRTIO_F_IN_ORDER.
  bool device_takes = false;    // Take() instead of Pop().
  bool driver_batches = false;  // AddBatched() instead of Add().
  bool driver_delays = false;   // May ask for callbacks only once most of the
                                // buffers are back.
  Model model = Model::kWeak;
  // Tries those orders too that the checker knows to be the same as others.
  bool every_order = false;
  Mutation mutation = {};

  std::string Name() const;
};

// Runs the checker on it.
Exploration Check(const Scenario& scenario, size_t max_states);

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_SCENARIO_H_
