#ifndef DEVICES_PLATFORM_ACPI_PM_H_
#define DEVICES_PLATFORM_ACPI_PM_H_

#include <atomic>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/platform/platform_control.h"

namespace annulus::platform {

// Sleep control, sleep status and reset register of a hardware-reduced ACPI
// machine: ACPI 6.5 §4.8.3.6 "Reset Register", §4.8.3.7 "Sleep Control and
// Status Registers". S5 is the one sleep state; SLP_EN with any other SLP_TYP
// does nothing.
//
// Threads: thread-safe.
// Trust: registers are bytes; a wider access is one access to each byte.
class AcpiPm : public BusDevice {
 public:
  // `control` outlives the device.
  explicit AcpiPm(PlatformControl& control) : control_(control) {}

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

 private:
  void WriteSleepControl(uint8_t value);

  PlatformControl& control_;
  std::atomic<uint8_t> sleep_type_{0};  // SLP_TYP in place, as last written.
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_ACPI_PM_H_
