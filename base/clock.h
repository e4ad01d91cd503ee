#ifndef BASE_CLOCK_H_
#define BASE_CLOCK_H_

#include <cstdint>
#include <ctime>

namespace annulus {

// CLOCK_MONOTONIC in nanoseconds.
inline int64_t MonotonicNanoseconds() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// CLOCK_REALTIME: nanoseconds since 1970-01-01 00:00:00 UTC.
inline int64_t UnixNanoseconds() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace annulus

#endif  // BASE_CLOCK_H_
