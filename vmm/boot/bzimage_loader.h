#ifndef VMM_BOOT_BZIMAGE_LOADER_H_
#define VMM_BOOT_BZIMAGE_LOADER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/guest_memory.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/linux_boot_params.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// How much of a file's start IsBzImage() looks at.
inline constexpr uint64_t kBzImageMagicEnd = 0x206;

// True if a file that begins with `start` has the setup header's magic.
bool IsBzImage(absl::Span<const uint8_t> start);

// A bzImage whose setup header has been checked: boot protocol 2.12 or later,
// with a 64-bit entry point.
struct BzImage {
  SetupHeader header;
  uint64_t code_offset = 0;  // In the file: behind the real-mode code.
  uint64_t code_size = 0;
  // Where it unpacks itself, from its load address to the end of init_size.
  AddressRange range;
};

// Trust: the header is untrusted; afterwards [code_offset, + code_size) is
//   inside the file and `range` between 1 MiB and 4 GiB.
absl::StatusOr<BzImage> ReadBzImage(const ImageFile& file);

// Loads the protected-mode code to range.start. ResourceExhausted where `range`
// is not all RAM.
//
// The address is pref_address, rounded up to kernel_alignment. A relocatable
// kernel could be loaded anywhere, but loaded lower it unpacks itself to
// pref_address all the same (boot.rst, "init_size"): nothing is gained.
absl::StatusOr<KernelImage> LoadBzImage(const ImageFile& file,
                                        const BzImage& image,
                                        const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_BZIMAGE_LOADER_H_
