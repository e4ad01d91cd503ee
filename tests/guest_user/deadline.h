#ifndef TESTS_GUEST_USER_DEADLINE_H_
#define TESTS_GUEST_USER_DEADLINE_H_

#include <cstdint>

#include "base/clock.h"

namespace annulus::guest_user {

// When to give up waiting for the other side: long after it should have moved,
// also on an emulated machine. Never part of what is checked.
inline constexpr int64_t kGiveUpNanoseconds = int64_t{20} * 1'000'000'000;

// How long nothing has happened.
//
// Threads: thread-compatible.
class IdleTime {
 public:
  void Restart() { since_ = MonotonicNanoseconds(); }
  int64_t nanoseconds() const { return MonotonicNanoseconds() - since_; }
  bool too_long() const { return nanoseconds() > kGiveUpNanoseconds; }

 private:
  int64_t since_ = MonotonicNanoseconds();
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_DEADLINE_H_
