#include <cstdint>

#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"

namespace guest {
namespace {

constexpr struct {
  const char* name;
  void (*run)();
} kPrograms[] = {
    {"hello", Hello},
    {"reset_i8042", ResetByI8042},
    {"reset_acpi", ResetByAcpi},
    {"triple_fault", TripleFault},
    {"emulation_failure", EmulationFailure},
    {"spin", Spin},
    {"idle", Idle},
    {"chatter", Chatter},
    {"smp", Smp},
    {"self_ipi", SelfIpi},
    {"serial_interrupt", SerialInterrupt},
    {"serial_echo", SerialEcho},
    {"clock", Clock},
    {"port_widths", PortWidths},
    {"memory", Memory},
    {"rng", Rng},
    {"move_bar", MoveBar},
    {"header_split", HeaderSplit},
    {"net_echo", NetEcho},
    {"vsock", Vsock},
    {"vsock_hostile", VsockHostile},
    {"net_and_vsock", NetAndVsock},
    {"metadata", Metadata},
    {"hostile", Hostile},
};

}  // namespace

// From boot.S.
extern "C" [[noreturn]] void GuestMain(BootProtocol protocol,
                                       uint64_t structure) {
  ReadBootInfo(protocol, structure);
  Print("microguest, ", protocol == BootProtocol::kPvh ? "PVH" : "Linux64");
  LoadInterruptTable();
  const char* name = Option("program");
  if (*name == 0) name = "hello";
  for (const auto& program : kPrograms) {
    if (!Equal(program.name, name)) continue;
    program.run();
    Print("PASS");
    Poweroff();
  }
  Fail("no such program");
}

}  // namespace guest
