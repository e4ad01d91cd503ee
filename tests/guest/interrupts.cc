#include "tests/guest/interrupts.h"

#include <cstddef>
#include <cstdint>

#include "tests/guest/apic.h"
#include "tests/guest/console.h"
#include "tests/guest/machine.h"

namespace guest {
namespace {

constexpr uint64_t kFirstInterruptVector = 32;
constexpr uint16_t kCodeSelector = 0x18;
constexpr uint16_t kPresentInterruptGate = 0x8e00;
constexpr size_t kStubSize = 16;

struct Gate {
  uint16_t offset_low;
  uint16_t selector;
  uint16_t type;
  uint16_t offset_middle;
  uint32_t offset_high;
  uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

alignas(16) Gate g_gates[256];

struct Listener {
  bool listens;
  void (*handler)();
  uint64_t count;
};
Listener g_listeners[256];

}  // namespace

extern "C" const char interrupt_stubs[];

extern "C" void HandleInterrupt(const InterruptFrame& frame) {
  Listener& listener = g_listeners[frame.vector & 0xff];
  if (frame.vector < kFirstInterruptVector || !listener.listens) {
    uint64_t cr2;
    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    Print("vector ", frame.vector, ", error code ", Hex{frame.error_code},
          ", rip ", Hex{frame.rip}, ", cr2 ", Hex{cr2});
    Fail("unexpected exception or interrupt");
  }
  if (listener.handler != nullptr) listener.handler();
  __atomic_fetch_add(&listener.count, 1, __ATOMIC_RELEASE);
  EndOfInterrupt();
}

void LoadInterruptTable() {
  // The same for all processors; the first one fills it.
  if (g_gates[0].type == 0) {
    for (size_t vector = 0; vector < 256; ++vector) {
      const uint64_t stub =
          reinterpret_cast<uint64_t>(interrupt_stubs) + vector * kStubSize;
      g_gates[vector] = {
          .offset_low = static_cast<uint16_t>(stub),
          .selector = kCodeSelector,
          .type = kPresentInterruptGate,
          .offset_middle = static_cast<uint16_t>(stub >> 16),
          .offset_high = static_cast<uint32_t>(stub >> 32),
          .reserved = 0,
      };
    }
  }
  struct [[gnu::packed]] {
    uint16_t limit = sizeof(g_gates) - 1;
    uint64_t base = reinterpret_cast<uint64_t>(g_gates);
  } pointer;
  asm volatile("lidt %0" : : "m"(pointer));
}

void Listen(uint8_t vector, void (*handler)()) {
  g_listeners[vector] = {.listens = true, .handler = handler, .count = 0};
}

uint64_t InterruptCount(uint8_t vector) {
  return __atomic_load_n(&g_listeners[vector].count, __ATOMIC_ACQUIRE);
}

void AwaitInterrupts(uint8_t vector, uint64_t count) {
  DisableInterrupts();
  while (InterruptCount(vector) < count) {
    // sti takes effect after the next instruction: no interrupt slips between.
    asm volatile("sti; hlt; cli" ::: "memory");
  }
}

}  // namespace guest
