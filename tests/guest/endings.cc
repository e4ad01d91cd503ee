#include <cstdint>

#include "devices/platform/acpi_pm_registers.h"
#include "devices/platform/i8042_registers.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"

namespace guest {

namespace platform = annulus::platform;

void Hello() { Print("hello, command line: ", CommandLine()); }

void ResetByI8042() {
  Print("reset by i8042");
  Out8(platform::kI8042Port + platform::kI8042CommandOffset,
       platform::kI8042CommandReset);
  Halt();
}

void ResetByAcpi() {
  Print("reset by ACPI");
  Out8(platform::kAcpiResetPort, platform::kAcpiResetValue);
  Halt();
}

void TripleFault() {
  Print("triple fault");
  struct [[gnu::packed]] {
    uint16_t limit = 0;
    uint64_t base = 0;
  } no_idt;
  asm volatile("lidt %0; ud2" : : "m"(no_idt));
  Halt();
}

void EmulationFailure() {
  Print("popcnt");
  uint64_t bits = 0xff, count = 0;
  // By its bytes, so that no assembler option is in the way.
  asm volatile(".byte 0xf3, 0x48, 0x0f, 0xb8, 0xc1"  // popcnt %rcx, %rax
               : "=a"(count)
               : "c"(bits));
  GUEST_CHECK(count == 8);
  Print("popcnt was executed");
}

void Spin() {
  Print("spinning");
  while (true) Pause();
}

void Idle() {
  Print("idle");
  Halt();
}

void Chatter() {
  for (uint64_t line = 0;; ++line) Print("line ", line);
}

}  // namespace guest
