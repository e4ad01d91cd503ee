#ifndef TESTS_GUEST_INTERRUPTS_H_
#define TESTS_GUEST_INTERRUPTS_H_

#include <cstdint>

// The interrupt descriptor table and who listens to which vector. An exception,
// and a vector that nobody listens to, end the guest with a message.

namespace guest {

// What the stubs in boot.S leave on the stack.
struct InterruptFrame {
  uint64_t vector;
  uint64_t error_code;
  uint64_t rip;
  uint64_t cs;
  uint64_t rflags;
  uint64_t rsp;
  uint64_t ss;
};

// On each processor that takes interrupts or wants a message for exceptions.
void LoadInterruptTable();

// `handler` may be null: then interrupts are only counted. It runs with
// interrupts disabled; the end of interrupt is signalled after it.
void Listen(uint8_t vector, void (*handler)());

// How often `vector` came, on any processor.
uint64_t InterruptCount(uint8_t vector);

// Halts until InterruptCount(vector) is at least `count`. No time limit: the
// host has one.
void AwaitInterrupts(uint8_t vector, uint64_t count);

inline void EnableInterrupts() { asm volatile("sti" ::: "memory"); }
inline void DisableInterrupts() { asm volatile("cli" ::: "memory"); }

}  // namespace guest

#endif  // TESTS_GUEST_INTERRUPTS_H_
