#ifndef VMM_BOOT_PVH_START_INFO_H_
#define VMM_BOOT_PVH_START_INFO_H_

#include <cstdint>

#include "absl/status/status.h"
#include "memory/guest_memory.h"
#include "memory/little_endian.h"
#include "vmm/boot/linux_zero_page.h"

namespace annulus::boot {

// The wire structures of Xen's public header arch-x86/hvm/start_info.h,
// "x86/HVM direct boot ABI", under their names.

struct HvmStartInfo {  // hvm_start_info, version 1
  memory::Le32 magic;
  memory::Le32 version;
  memory::Le32 flags;
  memory::Le32 nr_modules;
  memory::Le64 modlist_paddr;
  memory::Le64 cmdline_paddr;
  memory::Le64 rsdp_paddr;
  memory::Le64 memmap_paddr;
  memory::Le32 memmap_entries;
  memory::Le32 reserved;
};
static_assert(sizeof(HvmStartInfo) == 56);

struct HvmModlistEntry {  // hvm_modlist_entry
  memory::Le64 paddr;
  memory::Le64 size;
  memory::Le64 cmdline_paddr;
  memory::Le64 reserved;
};
static_assert(sizeof(HvmModlistEntry) == 32);

struct HvmMemmapTableEntry {  // hvm_memmap_table_entry
  memory::Le64 addr;
  memory::Le64 size;
  memory::Le32 type;
  memory::Le32 reserved;
};
static_assert(sizeof(HvmMemmapTableEntry) == 24);

inline constexpr uint32_t kHvmStartMagicValue = 0x336ec578;

// Writes the start info to kPvhStartInfo, with the module list (an initrd is
// the first module) and the memory map that it points to. The command line is
// at kCommandLine.
absl::Status WritePvhStartInfo(const BootEnvironment& environment,
                               const memory::GuestMemory& memory);

}  // namespace annulus::boot

#endif  // VMM_BOOT_PVH_START_INFO_H_
