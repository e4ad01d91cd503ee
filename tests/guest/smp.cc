#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/guest/apic.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"

namespace guest {
namespace {

// Any page below 1 MiB that nobody else uses: the loader's structures are in
// the first 64 KiB and from 128 KiB on.
constexpr uint64_t kTrampolinePage = 0x10;

uint64_t g_started = 0;
bool g_spin = false;

void SpinIfWanted() {
  if (!g_spin) return;
  while (true) Pause();
}

}  // namespace

extern "C" const char ap_trampoline[];
extern "C" const char ap_trampoline_end[];

// From boot.S, on its own stack.
extern "C" [[noreturn]] void ApplicationProcessorMain() {
  LoadInterruptTable();
  EnableLocalApic();
  Print("processor ", uint64_t{LocalApicId()}, " runs");
  __atomic_fetch_add(&g_started, 1, __ATOMIC_RELEASE);
  SpinIfWanted();
  Halt();
}

void Smp() {
  const uint64_t others = NumberOption("cpus", 1) - 1;
  g_spin = NumberOption("spin", 0) != 0;
  EnableLocalApic();
  Print("processor ", uint64_t{LocalApicId()}, " runs");
  std::memcpy(reinterpret_cast<void*>(kTrampolinePage << 12), ap_trampoline,
              static_cast<size_t>(ap_trampoline_end - ap_trampoline));
  SendIpi(0, kIpiAllOthers | kIpiInit);
  // Hardware wants 10 ms between the two, and a repetition; KVM wants neither.
  SendIpi(0, kIpiAllOthers | kIpiStartup | kTrampolinePage);
  while (__atomic_load_n(&g_started, __ATOMIC_ACQUIRE) < others) Pause();
  if (g_spin) Print("all spin");
  SpinIfWanted();
}

}  // namespace guest
