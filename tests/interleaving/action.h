#ifndef TESTS_INTERLEAVING_ACTION_H_
#define TESTS_INTERLEAVING_ACTION_H_

#include <cstddef>
#include <cstdint>

namespace annulus::interleaving {

// The two sides of a ring.
enum Side : uint8_t { kDriver = 0, kDevice = 1 };
inline constexpr size_t kSides = 2;
constexpr Side Other(Side side) { return side == kDriver ? kDevice : kDriver; }

// Which function of a ring's side an action belongs to: for traces, and for
// mutations to say where they apply.
enum class Call : uint8_t {
  kNone,
  // Driver.
  kAdd,
  kNeedsNotification,
  kGetUsed,
  kDisableCallbacks,
  kEnableCallbacks,
  // Device.
  kPop,
  kPush,
  kPublish,
  kDisableNotifications,
  kEnableNotifications,
  kHasAvailable,
};

// What a side does that the other side, or the one who chooses the interleaving
// can tell. Between two actions a side only computes.
struct Action {
  enum class Kind : uint8_t {
    kLoad,    // Of `bytes` at `offset`. The result is the value.
    kStore,   // Of `value`.
    kFence,   // Sequentially consistent.
    kNotify,  // Signals the other side.
    kWait,    // Sleeps until notified; result: see Wakeup.
    kChoose,  // The result is one of 0..value-1, each is tried.
    kFail,    // The side found the other at fault: `text`.
  };

  Kind kind = Kind::kFail;
  Call call = Call::kNone;
  uint8_t bytes = 0;
  int order = 0;          // __ATOMIC_...; loads and stores.
  uint32_t offset = 0;    // In the shared memory.
  uint64_t value = 0;     // kStore, kChoose; kWait: buffers given and not back.
  bool may_add = false;   // kWait: may also be woken to add buffers.
  const char* text = "";  // kFail.
};

// Results of kWait.
enum Wakeup : uint64_t { kNotified = 1, kAsked = 2 };

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_ACTION_H_
