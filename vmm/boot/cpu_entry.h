#ifndef VMM_BOOT_CPU_ENTRY_H_
#define VMM_BOOT_CPU_ENTRY_H_

#include "absl/status/status.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "vmm/boot/boot_state.h"

namespace annulus::boot {

// The registers to enter a kernel with at `entry`. For both protocols a GDT is
// at kGdt that says the same as the segments do.

// Long mode over the page tables at kPageTables; rsi is the zero page.
BootState Linux64Entry(memory::GuestAddress entry);

// 32-bit protected mode, flat, without paging; rbx is the start info.
BootState Pvh32Entry(memory::GuestAddress entry);

// Writes the GDT that `state` describes.
absl::Status WriteGdt(const BootState& state,
                      const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_CPU_ENTRY_H_
