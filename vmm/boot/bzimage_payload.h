#ifndef VMM_BOOT_BZIMAGE_PAYLOAD_H_
#define VMM_BOOT_BZIMAGE_PAYLOAD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "memory/guest_ram.h"
#include "vmm/boot/bzimage_loader.h"
#include "vmm/boot/image_file.h"

namespace annulus::boot {

// What a bzImage unpacks itself to: a vmlinux, and behind its end the places
// in it that depend on where the kernel runs (see kernel_relocation.h).
struct UnpackedKernel {
  memory::GuestRam storage;  // Large pages that go back to the host at its end.
  absl::Span<const uint8_t> content;  // In storage.
};

// Unpacks the kernel inside of a bzImage, on the host.
//
// The guest could do it by itself, but slower: its decompressor takes a page
// fault for every 2 MiB, each byte through nested page tables that are still
// empty. It also needs more RAM for that than the kernel runs in: Debian's 6.1
// needs 68 MiB and ends at 62 MiB.
//
// Trust: the payload is untrusted. At most `max_size` bytes come out of it, in
//   blocks of 8 MiB.
// Errors: Unimplemented for a compression other than the LZ4 of Debian's
//   kernels, InvalidArgument for a bad payload.
absl::StatusOr<UnpackedKernel> UnpackBzImagePayload(const ImageFile& file,
                                                    const BzImage& image,
                                                    uint64_t max_size);

}  // namespace annulus::boot

#endif  // VMM_BOOT_BZIMAGE_PAYLOAD_H_
