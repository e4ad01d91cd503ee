#include "devices/platform/acpi_pm.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/platform/acpi_pm_registers.h"

namespace annulus::platform {

void AcpiPm::Read(uint64_t offset, absl::Span<uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    // SLP_EN always reads as 0. WAK_STS is never set: nothing wakes from S5.
    // RESET_REG need not be readable.
    data[i] = offset + i == kAcpiSleepControlOffset
                  ? sleep_type_.load(std::memory_order_relaxed)
                  : 0;
  }
}

void AcpiPm::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    const uint64_t register_offset = offset + i;
    if (register_offset == kAcpiSleepControlOffset) {
      WriteSleepControl(data[i]);
    } else if (register_offset == kAcpiResetOffset &&
               data[i] == kAcpiResetValue) {
      control_.GuestReset();
    }
  }
}

void AcpiPm::WriteSleepControl(uint8_t value) {
  const uint8_t sleep_type = value & kAcpiSleepTypeMask;
  // Relaxed: the register guards nothing else.
  sleep_type_.store(sleep_type, std::memory_order_relaxed);
  if ((value & kAcpiSleepEnable) != 0 &&
      sleep_type >> kAcpiSleepTypeShift == kAcpiSleepTypeS5) {
    control_.GuestPoweroff();
  }
}

}  // namespace annulus::platform
