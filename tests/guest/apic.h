#ifndef TESTS_GUEST_APIC_H_
#define TESTS_GUEST_APIC_H_

#include <cstdint>

// The local APIC of this processor, in xAPIC or x2APIC mode, whichever it is
// in; and the I/O APIC.

namespace guest {

// Enables this processor's local APIC.
void EnableLocalApic();

uint32_t LocalApicId();

// Signals the end of an interrupt to the local APIC of this processor.
void EndOfInterrupt();

// Interrupt command register.
void SendIpi(uint32_t destination, uint32_t command);
inline constexpr uint32_t kIpiFixed = 0;               // + vector
inline constexpr uint32_t kIpiInit = 0x00004500;       // Assert.
inline constexpr uint32_t kIpiStartup = 0x00004600;    // + page
inline constexpr uint32_t kIpiAllOthers = 0x000c0000;  // Shorthand.

// Sends line `gsi`, edge-triggered, to `vector` of the first processor.
void RouteEdge(uint32_t gsi, uint8_t vector);

}  // namespace guest

#endif  // TESTS_GUEST_APIC_H_
