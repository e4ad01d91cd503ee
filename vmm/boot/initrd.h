#ifndef VMM_BOOT_INITRD_H_
#define VMM_BOOT_INITRD_H_

#include "absl/status/statusor.h"
#include "memory/guest_memory.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// Loads an initrd as high as `kernel` can take it, clear of the kernel. In a
// small guest that may be below the kernel.
//
// Trust: the content is untrusted and is not looked at.
// Errors: ResourceExhausted where RAM has no such place.
absl::StatusOr<AddressRange> LoadInitrd(const ImageFile& file,
                                        const KernelImage& kernel,
                                        const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_INITRD_H_
