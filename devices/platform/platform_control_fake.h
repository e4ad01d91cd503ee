#ifndef DEVICES_PLATFORM_PLATFORM_CONTROL_FAKE_H_
#define DEVICES_PLATFORM_PLATFORM_CONTROL_FAKE_H_

#include <cstdint>
#include <vector>

#include "devices/platform/platform_control.h"

namespace annulus::platform {

// Counts what was asked. Threads: thread-compatible.
class FakePlatformControl : public PlatformControl {
 public:
  void GuestPoweroff() override { ++poweroffs; }
  void GuestReset() override { ++resets; }
  void DebugExit(uint32_t guest_value) override {
    debug_exits.push_back(guest_value);
  }

  int poweroffs = 0;
  int resets = 0;
  std::vector<uint32_t> debug_exits;
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_PLATFORM_CONTROL_FAKE_H_
