#ifndef DEVICES_PLATFORM_WALL_CLOCK_H_
#define DEVICES_PLATFORM_WALL_CLOCK_H_

#include <cstdint>

#include "base/clock.h"

namespace annulus::platform {

// What time it is, for the guest's real-time clock.
//
// Threads: thread-safe; called on any vCPU thread.
class WallClock {
 public:
  virtual ~WallClock() = default;

  // Nanoseconds since 1970-01-01 00:00:00 UTC.
  virtual int64_t UnixNanoseconds() const = 0;
};

// The host's CLOCK_REALTIME. Needs no system call that a sandbox could deny.
class HostWallClock : public WallClock {
 public:
  int64_t UnixNanoseconds() const override {
    return annulus::UnixNanoseconds();
  }
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_WALL_CLOCK_H_
