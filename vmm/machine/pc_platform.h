#ifndef VMM_MACHINE_PC_PLATFORM_H_
#define VMM_MACHINE_PC_PLATFORM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/debug_exit.h"
#include "devices/platform/i8042.h"
#include "devices/platform/platform_control.h"
#include "devices/platform/rtc.h"
#include "devices/platform/wall_clock.h"
#include "vmm/bus/address_bus.h"

namespace annulus {

// The small devices of a PC that KVM does not have: power management, keyboard
// controller, clock; and the debug exit port where asked for.
//
// Threads: constructed on one thread; the devices serve vCPU threads.
class PcPlatform {
 public:
  // Puts the devices on `ports`. Both references outlive the platform.
  static absl::StatusOr<std::unique_ptr<PcPlatform>> Create(
      platform::PlatformControl& control, bool debug_exit, AddressBus& ports);

 private:
  explicit PcPlatform(platform::PlatformControl& control);

  platform::HostWallClock clock_;
  platform::AcpiPm acpi_pm_;
  platform::I8042 i8042_;
  platform::Rtc rtc_;
  platform::DebugExit debug_exit_;
};

}  // namespace annulus

#endif  // VMM_MACHINE_PC_PLATFORM_H_
