#ifndef TESTS_GUEST_PROGRAMS_H_
#define TESTS_GUEST_PROGRAMS_H_

// What the microguest can do, one program per run: "program=NAME" on the
// command line. A program that returns has succeeded: the guest then prints
// "PASS" and powers off.

namespace guest {

// endings.cc
void Hello();             // Prints its boot protocol and command line.
void ResetByI8042();      // Ends in a reset.
void ResetByAcpi();       // Likewise.
void TripleFault();       // Ends in one.
void EmulationFailure();  // Executes what a software KVM cannot; returns
                          // elsewhere.
void Spin();              // Never ends; executes.
void Idle();              // Never ends; halted.
void Chatter();           // Never ends; prints numbered lines.

// smp.cc. Options cpus=N, spin=1.
void Smp();  // Starts all other processors; each prints its number. With spin,
             // all of them go on for ever.

// interrupts_program.cc
void SelfIpi();          // A local APIC interrupts its own processor.
void SerialInterrupt();  // THRE and received data, by the IOAPIC.
void SerialEcho();       // Prints lines of input back, until "quit".

// platform_program.cc
void Clock();       // Reads the RTC.
void PortWidths();  // Every platform port, every width.

// memory_program.cc. PVH only. Options size=BYTES.
void Memory();  // Uses the first and last bytes of all RAM there is.

// rng_program.cc. Options: mmio=ADDRESS irq=GSI or pci=SLOT; see rng.h.
void Rng();      // Takes random bytes.
void MoveBar();  // Likewise, over PCI, from several places. Option
                 // high=ADDRESS.

// header_split_program.cc. Options: mmio=ADDRESS or pci=SLOT; see
// header_split.h.
void HeaderSplit();  // Receives frames with header and payload apart.

// net_echo_program.cc. Options: mmio=ADDRESS or pci=SLOT; see net_echo.h.
void NetEcho();  // Sends frames, and looks at what comes back.

// vsock_program.cc. Options: mmio=ADDRESS or pci=SLOT; see vsock.h.
void Vsock();         // Talks with programs of the host.
void VsockHostile();  // Breaks every rule, and talks with them after each.

// net_and_vsock_program.cc. Options net=SLOT and vsock=SLOT.
void NetAndVsock();  // NetEcho() on one device, then Vsock() on another.

// metadata_program.cc. Options: mmio=ADDRESS irq=GSI or pci=SLOT, key=NAME,
// ring=packed|split.
void Metadata();  // Asks the device of examples/custom_device.cc for a value.

// hostile_program.cc. Options of Rng().
void Hostile();  // Breaks every rule, and takes random bytes after each.

}  // namespace guest

#endif  // TESTS_GUEST_PROGRAMS_H_
