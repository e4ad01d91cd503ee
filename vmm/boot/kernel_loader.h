#ifndef VMM_BOOT_KERNEL_LOADER_H_
#define VMM_BOOT_KERNEL_LOADER_H_

#include "absl/status/statusor.h"
#include "memory/guest_memory.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image.h"

namespace annulus::boot {

// Tells by its content what kind of kernel `file` is, and loads it. A bzImage
// in LZ4 is unpacked here, any other one unpacks itself in the guest. With
// `randomize` an unpacked one is moved in the guest's virtual address space, as
// it would do itself; not in the physical one.
//
// Trust: the file is untrusted.
// Errors: InvalidArgument for a bad file, ResourceExhausted for one that RAM
//   has no room for.
absl::StatusOr<KernelImage> LoadKernel(const ImageFile& file,
                                       const memory::GuestMemory& memory,
                                       bool randomize);

}  // namespace annulus::boot

#endif  // VMM_BOOT_KERNEL_LOADER_H_
