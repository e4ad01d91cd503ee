// The smallest guest: its first instruction writes to the debug exit port, so
// that the host sees when a guest begins to run. Where there is no such port it
// powers off. The bytes mean the same in 32-bit mode (PVH) and in 64-bit mode
// (Linux protocol).

  .set DEBUG_EXIT_PORT, 0xf4       // devices/platform/debug_exit.h
  .set SLEEP_CONTROL_PORT, 0x600   // devices/platform/acpi_pm_registers.h
  .set ENTER_S5, 0x20 | 5 << 2

  .section .note.pvh, "a", @note
  .long 4, 8, 18
  .asciz "Xen"
  .quad linux64_entry

  .section .text.entry, "ax"
  .code32
  .globl linux64_entry
linux64_entry:
  out %al, $DEBUG_EXIT_PORT
  mov $ENTER_S5, %al
  mov $SLEEP_CONTROL_PORT, %edx
  out %al, %dx
1:
  cli
  hlt
  jmp 1b

  .section .note.GNU-stack, "", @progbits
