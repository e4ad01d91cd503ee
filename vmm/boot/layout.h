#ifndef VMM_BOOT_LAYOUT_H_
#define VMM_BOOT_LAYOUT_H_

#include <cstdint>

#include "memory/guest_address.h"

// Where the loader puts its own structures, all below 1 MiB, where no kernel
// segment may lie. The same places as other x86 monitors use, so that a guest
// which makes assumptions about one of them finds them met here too.

namespace annulus::boot {

inline constexpr uint64_t kPageSize = 4096;

inline constexpr memory::GuestAddress kGdt{0x500};
inline constexpr memory::GuestAddress kPvhStartInfo{0x6000};
inline constexpr memory::GuestAddress kPvhModuleList{0x6040};
// Of the two protocols only one is used, so its map and the other one's zero
// page share a place.
inline constexpr memory::GuestAddress kPvhMemoryMap{0x7000};
inline constexpr memory::GuestAddress kLinuxZeroPage{0x7000};
// Grows down, above the zero page.
inline constexpr memory::GuestAddress kBootStackTop{0x8ff0};
// Six pages: PML4, PDPT and four page directories.
inline constexpr memory::GuestAddress kPageTables{0x9000};
inline constexpr memory::GuestAddress kCommandLine{0x20000};
// Room for the command line with its terminating zero.
inline constexpr uint64_t kCommandLineRoom = 0x10000;

// [kLowRamEnd, kHighRamStart) is RAM that the memory map calls reserved: the
// ACPI tables lie there, and kernels look for legacy structures there.
inline constexpr memory::GuestAddress kLowRamEnd{0x9fc00};
inline constexpr memory::GuestAddress kHighRamStart{0x100000};

}  // namespace annulus::boot

#endif  // VMM_BOOT_LAYOUT_H_
