#ifndef VMM_BOOT_KERNEL_IMAGE_H_
#define VMM_BOOT_KERNEL_IMAGE_H_

#include <cstdint>
#include <optional>

#include "memory/guest_address.h"
#include "vmm/boot/boot_state.h"
#include "vmm/boot/linux_boot_params.h"
#include "vmm/boot/memory_map.h"

namespace annulus::boot {

// COMMAND_LINE_SIZE of Linux on x86 is 2048, with the terminating zero.
inline constexpr uint32_t kDefaultCommandLineSize = 2047;
// Where every x86 kernel since 2.6 can find its initrd, boot.rst's
// initrd_addr_max of today's kernels.
inline constexpr uint64_t kDefaultInitrdAddressMax = 0x7fffffff;
// All of a kernel lies below: the boot page tables map that much, and PVH
// starts without any.
inline constexpr uint64_t kKernelAddressEnd = uint64_t{1} << 32;

// A kernel that has been loaded, and what it asks of the rest of the boot.
struct KernelImage {
  BootProtocol protocol = BootProtocol::kLinux64;
  memory::GuestAddress entry;
  // What the kernel needs for itself, bss and room to unpack included; nothing
  // else may be put there.
  AddressRange range;
  uint64_t command_line_size = kDefaultCommandLineSize;    // Without the zero.
  uint64_t initrd_address_max = kDefaultInitrdAddressMax;  // Of its last byte.
  // Only of a bzImage: to be handed on in the zero page.
  std::optional<SetupHeader> setup_header;
};

}  // namespace annulus::boot

#endif  // VMM_BOOT_KERNEL_IMAGE_H_
