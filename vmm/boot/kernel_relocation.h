#ifndef VMM_BOOT_KERNEL_RELOCATION_H_
#define VMM_BOOT_KERNEL_RELOCATION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/guest_memory.h"
#include "memory/little_endian.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// Kernel address space layout randomization, as a bzImage does it to itself
// while it unpacks: the kernel runs at a random virtual address, and every
// place in it that holds an absolute one is corrected.
//
// Behind the vmlinux in a bzImage's payload stand those places, three lists of
// 32-bit words, each with a zero before it (Linux, arch/x86/tools/relocs.c):
// where a 64-bit address is, where a 32-bit one is that runs against the move
// (per-CPU data; kernels from 6.15 on have no such list), and where a 32-bit
// one is. A word is the lower half of the place's own virtual address.
struct RelocationLists {
  using Places = absl::Span<const memory::Le32>;
  Places add_64;
  Places subtract_32;
  Places add_32;
};

// Sorts out what stands behind the vmlinux. InvalidArgument where it is not
// two or three such lists.
// Trust: `table`, which must outlive the lists, is untrusted.
absl::StatusOr<RelocationLists> ReadRelocationLists(
    absl::Span<const memory::Le32> table);

// How far a kernel that is linked to run at `range` may be moved: a multiple of
// `alignment`, which is not 0, that `random` chooses among all that fit. 0
// where none does.
uint64_t ChooseVirtualOffset(const AddressRange& range, uint64_t alignment,
                             uint64_t random);

// Moves the kernel that is loaded to `range` by `offset` bytes upwards. False,
// and nothing changed, where a place lies outside of the kernel.
[[nodiscard]] bool RelocateKernel(const RelocationLists& lists,
                                  const AddressRange& range, uint64_t offset,
                                  const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_KERNEL_RELOCATION_H_
