#include "vmm/machine/pc_platform.h"

#include "base/status_macros.h"
#include "devices/platform/acpi_pm_registers.h"
#include "devices/platform/i8042_registers.h"
#include "devices/platform/rtc_registers.h"

namespace annulus {

PcPlatform::PcPlatform(platform::PlatformControl& control)
    : acpi_pm_(control), i8042_(control), rtc_(clock_), debug_exit_(control) {}

absl::StatusOr<std::unique_ptr<PcPlatform>> PcPlatform::Create(
    platform::PlatformControl& control, bool debug_exit, AddressBus& ports) {
  std::unique_ptr<PcPlatform> self(new PcPlatform(control));
  ANNULUS_RETURN_IF_ERROR(ports.Add(
      platform::kAcpiPmPort, platform::kAcpiPmPortCount, self->acpi_pm_));
  ANNULUS_RETURN_IF_ERROR(
      ports.Add(platform::kI8042Port, platform::kI8042PortCount, self->i8042_));
  ANNULUS_RETURN_IF_ERROR(
      ports.Add(platform::kRtcPort, platform::kRtcPortCount, self->rtc_));
  if (debug_exit) {
    ANNULUS_RETURN_IF_ERROR(ports.Add(platform::kDebugExitPort,
                                      platform::kDebugExitPortCount,
                                      self->debug_exit_));
  }
  return self;
}

}  // namespace annulus
