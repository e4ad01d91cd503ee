#ifndef VMM_BOOT_LOAD_GUEST_H_
#define VMM_BOOT_LOAD_GUEST_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "vmm/boot/boot_state.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

struct BootInputs {
  int kernel_fd = -1;                 // Borrowed. A regular file.
  std::optional<int> initrd_fd = {};  // Borrowed. Likewise.
  absl::string_view cmdline = {};     // Given to the kernel as it is.
  memory::GuestAddress rsdp = {};     // ACPI's root pointer; 0: no ACPI.
  // Device ranges that the guest's memory map shall call reserved. Linux wants
  // to see the ECAM there before it uses it.
  absl::Span<const AddressRange> reserved = {};
};

// Loads a kernel, its initrd and command line into `memory`, builds what the
// kernel's boot protocol asks for, and returns the registers to enter it with.
// What kind of kernel it is, is told by its content: an ELF file with a PVH
// note is entered by that, one without by the 64-bit Linux protocol. A bzImage
// in LZ4 is unpacked here, moved to a random virtual address unless `cmdline`
// says "nokaslr", and entered by that protocol too; another one unpacks itself
// from its 64-bit entry on.
//
// Threads: uses `memory` alone; no vCPU runs yet.
// Trust: files are untrusted, and may change or shrink while they are read.
// Memory: `memory` must be fresh, that is all zero, because neither a kernel's
//   bss nor reserved fields are cleared: that would only take pages from the
//   host that the guest may never touch. Contains [0, 1 MiB) at least.
// Errors: InvalidArgument for a bad file, ResourceExhausted for what does not
//   fit in RAM; one line that begins with "kernel: ", "initrd: " or "command
//   line: ". `memory` then holds a part of it and should be dropped.
absl::StatusOr<BootState> LoadGuest(const memory::GuestMemory& memory,
                                    const BootInputs& inputs);

}  // namespace annulus::boot

#endif  // VMM_BOOT_LOAD_GUEST_H_
