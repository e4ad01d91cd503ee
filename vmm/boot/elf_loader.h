#ifndef VMM_BOOT_ELF_LOADER_H_
#define VMM_BOOT_ELF_LOADER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/guest_memory.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image.h"

namespace annulus::boot {

// True if a file that begins with `start` claims to be ELF.
bool IsElf(absl::Span<const uint8_t> start);

// Which of a kernel's entry points to take.
enum class ElfEntry : uint8_t {
  kPvhIfNoted,  // By its PVH note; without one as kLinux64.
  kLinux64,     // At e_entry, by the 64-bit Linux boot protocol.
};

// Loads an ELF64 kernel for x86-64: every PT_LOAD segment to its physical
// address. e_entry is a physical address too.
//
// Trust: the file is untrusted. Segments must lie in RAM between 1 MiB and
//   4 GiB and not overlap, so no more is read than there is RAM; the entry
//   must lie in what a segment has loaded from the file.
absl::StatusOr<KernelImage> LoadElf(const ImageFile& file,
                                    const memory::GuestMemory& memory,
                                    ElfEntry entry);

// Where an ELF file ends: behind its section header table, which comes last in
// a vmlinux.
absl::StatusOr<uint64_t> ElfFileEnd(const ImageFile& file);

}  // namespace annulus::boot

#endif  // VMM_BOOT_ELF_LOADER_H_
