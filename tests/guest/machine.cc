#include "tests/guest/machine.h"

#include "devices/platform/acpi_pm_registers.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"

namespace guest {

namespace platform = annulus::platform;

void Halt() {
  while (true) asm volatile("cli; hlt");
}

void Poweroff() {
  Out8(platform::kAcpiSleepControlPort,
       platform::kAcpiSleepEnable | platform::kAcpiSleepTypeS5
                                        << platform::kAcpiSleepTypeShift);
  Halt();
}

void Fail(const char* reason) {
  Print("FAIL: ", reason);
  Poweroff();
}

}  // namespace guest
