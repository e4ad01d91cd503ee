#ifndef DEVICES_PLATFORM_PLATFORM_CONTROL_H_
#define DEVICES_PLATFORM_PLATFORM_CONTROL_H_

#include <cstdint>

namespace annulus::platform {

// What the guest may ask of the machine that carries it. The VMM implements
// it: it records the request, stops the vCPUs later, and returns at once.
//
// Threads: thread-safe; called on any vCPU thread, also by several at a time.
//   The first request decides.
// Trust: how often it is called, and with what, is guest-controlled.
class PlatformControl {
 public:
  virtual ~PlatformControl() = default;

  virtual void GuestPoweroff() = 0;                  // ACPI S5.
  virtual void GuestReset() = 0;                     // Any way to reset.
  virtual void DebugExit(uint32_t guest_value) = 0;  // See debug_exit.h.
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_PLATFORM_CONTROL_H_
