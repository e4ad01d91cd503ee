#ifndef CLI_VSOCK_DEADLINE_H_
#define CLI_VSOCK_DEADLINE_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "base/clock.h"

namespace annulus::cli {

inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

// By base/clock.h. A timeout of 0 is none.
inline int64_t DeadlineAfter(absl::Duration timeout) {
  if (timeout <= absl::ZeroDuration()) return kNoDeadline;
  const int64_t now_ns = MonotonicNanoseconds();
  return now_ns +
         std::min(absl::ToInt64Nanoseconds(timeout), kNoDeadline - now_ns);
}

// For poll(2), rounded up.
inline int MillisecondsUntil(int64_t deadline_ns) {
  if (deadline_ns == kNoDeadline) return -1;
  const int64_t left_ns =
      std::max<int64_t>(deadline_ns - MonotonicNanoseconds(), 0);
  return static_cast<int>(std::min<int64_t>(left_ns / 1'000'000 + 1,
                                            std::numeric_limits<int>::max()));
}

}  // namespace annulus::cli

#endif  // CLI_VSOCK_DEADLINE_H_
