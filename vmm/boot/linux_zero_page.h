#ifndef VMM_BOOT_LINUX_ZERO_PAGE_H_
#define VMM_BOOT_LINUX_ZERO_PAGE_H_

#include <optional>

#include "absl/types/span.h"
#include "memory/guest_address.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/linux_boot_params.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// What the guest is told beside the kernel itself, by either protocol.
struct BootEnvironment {
  std::optional<AddressRange> initrd = {};
  memory::GuestAddress rsdp = {};
  // At most kMaxMemoryMapEntries.
  absl::Span<const MemoryMapEntry> memory_map = {};
};

// The zero page of the Linux boot protocol for `kernel`, whose command line is
// at kCommandLine.
BootParams BuildZeroPage(const KernelImage& kernel,
                         const BootEnvironment& environment);

}  // namespace annulus::boot

#endif  // VMM_BOOT_LINUX_ZERO_PAGE_H_
