#ifndef VMM_BOOT_LINUX_BOOT_PARAMS_H_
#define VMM_BOOT_LINUX_BOOT_PARAMS_H_

#include <cstddef>
#include <cstdint>

#include "memory/little_endian.h"

// The wire structures of Linux's Documentation/x86/boot.rst and zero-page.rst,
// under their names. Own ones, because <asm/bootparam.h> wants half a dozen
// further kernel headers; a test compares the offsets with it.

namespace annulus::boot {

using memory::Le16;
using memory::Le32;
using memory::Le64;

// "The Real-Mode Kernel Header", as it stands in the file at kSetupHeaderOffset
// and, completed by the loader, at the same offset of the zero page.
struct SetupHeader {
  uint8_t setup_sects;
  Le16 root_flags;
  Le32 syssize;  // In units of 16 bytes.
  Le16 ram_size;
  Le16 vid_mode;
  Le16 root_dev;
  Le16 boot_flag;
  Le16 jump;  // The upper byte is where the header ends, counted from 0x202.
  Le32 header;
  Le16 version;
  Le32 realmode_swtch;
  Le16 start_sys_seg;
  Le16 kernel_version;
  uint8_t type_of_loader;
  uint8_t loadflags;
  Le16 setup_move_size;
  Le32 code32_start;
  Le32 ramdisk_image;
  Le32 ramdisk_size;
  Le32 bootsect_kludge;
  Le16 heap_end_ptr;
  uint8_t ext_loader_ver;
  uint8_t ext_loader_type;
  Le32 cmd_line_ptr;
  Le32 initrd_addr_max;
  Le32 kernel_alignment;
  uint8_t relocatable_kernel;
  uint8_t min_alignment;
  Le16 xloadflags;
  Le32 cmdline_size;
  Le32 hardware_subarch;
  Le64 hardware_subarch_data;
  Le32 payload_offset;
  Le32 payload_length;
  Le64 setup_data;
  Le64 pref_address;
  Le32 init_size;
  Le32 handover_offset;
  Le32 kernel_info_offset;
  uint8_t
      later_fields[0x24];  // Of protocols after 2.15: handed on as they are.
};

inline constexpr uint64_t kSetupHeaderOffset = 0x1f1;
inline constexpr uint64_t kSetupHeaderEnd = 0x290;
inline constexpr uint16_t kBootFlag = 0xaa55;
inline constexpr uint32_t kHeaderMagic = 0x53726448;  // "HdrS"
inline constexpr uint16_t kProtocol212 = 0x020c;
inline constexpr uint8_t kLoadedHigh = 1 << 0;     // LOADED_HIGH
inline constexpr uint8_t kKaslr = 1 << 1;          // KASLR_FLAG
inline constexpr uint16_t kXlfKernel64 = 1 << 0;   // XLF_KERNEL_64
inline constexpr uint8_t kUndefinedLoader = 0xff;  // type_of_loader

static_assert(sizeof(SetupHeader) == kSetupHeaderEnd - kSetupHeaderOffset);

struct E820Entry {
  Le64 addr;
  Le64 size;
  Le32 type;
};

inline constexpr size_t kE820MaxEntries = 128;

// The "zero page", struct boot_params; only what a loader fills in is named.
struct BootParams {
  uint8_t screen_info_and_more[0x70];
  Le64 acpi_rsdp_addr;
  uint8_t unnamed_1[0x1e8 - 0x78];
  uint8_t e820_entries;
  uint8_t unnamed_2[kSetupHeaderOffset - 0x1e9];
  SetupHeader hdr;
  uint8_t unnamed_3[0x2d0 - kSetupHeaderEnd];
  E820Entry e820_table[kE820MaxEntries];
  uint8_t unnamed_4[0x1000 - 0xcd0];
};

static_assert(offsetof(BootParams, acpi_rsdp_addr) == 0x70);
static_assert(offsetof(BootParams, e820_entries) == 0x1e8);
static_assert(offsetof(BootParams, hdr) == 0x1f1);
static_assert(offsetof(BootParams, hdr.header) == 0x202);
static_assert(offsetof(BootParams, hdr.code32_start) == 0x214);
static_assert(offsetof(BootParams, hdr.ramdisk_image) == 0x218);
static_assert(offsetof(BootParams, hdr.cmd_line_ptr) == 0x228);
static_assert(offsetof(BootParams, hdr.xloadflags) == 0x236);
static_assert(offsetof(BootParams, hdr.payload_offset) == 0x248);
static_assert(offsetof(BootParams, hdr.pref_address) == 0x258);
static_assert(offsetof(BootParams, hdr.init_size) == 0x260);
static_assert(offsetof(BootParams, e820_table) == 0x2d0);
static_assert(sizeof(BootParams) == 0x1000);

}  // namespace annulus::boot

#endif  // VMM_BOOT_LINUX_BOOT_PARAMS_H_
