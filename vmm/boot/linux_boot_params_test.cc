#include "vmm/boot/linux_boot_params.h"

#include <asm/bootparam.h>

#include <cstddef>

#include "gtest/gtest.h"

namespace annulus::boot {
namespace {

// The kernel's own header, as Debian ships it, is the judge of our structures.
#define EXPECT_SAME_FIELD(ours, our_field, theirs, their_field)          \
  do {                                                                   \
    EXPECT_EQ(offsetof(ours, our_field), offsetof(theirs, their_field)); \
    EXPECT_EQ(sizeof(ours::our_field), sizeof(theirs::their_field));     \
  } while (false)

TEST(LinuxBootParamsTest, SetupHeaderIsTheKernels) {
#define FIELD(name) EXPECT_SAME_FIELD(SetupHeader, name, setup_header, name)
  FIELD(setup_sects);
  FIELD(root_flags);
  FIELD(syssize);
  FIELD(ram_size);
  FIELD(vid_mode);
  FIELD(root_dev);
  FIELD(boot_flag);
  FIELD(jump);
  FIELD(header);
  FIELD(version);
  FIELD(realmode_swtch);
  FIELD(start_sys_seg);
  FIELD(kernel_version);
  FIELD(type_of_loader);
  FIELD(loadflags);
  FIELD(setup_move_size);
  FIELD(code32_start);
  FIELD(ramdisk_image);
  FIELD(ramdisk_size);
  FIELD(bootsect_kludge);
  FIELD(heap_end_ptr);
  FIELD(ext_loader_ver);
  FIELD(ext_loader_type);
  FIELD(cmd_line_ptr);
  FIELD(initrd_addr_max);
  FIELD(kernel_alignment);
  FIELD(relocatable_kernel);
  FIELD(min_alignment);
  FIELD(xloadflags);
  FIELD(cmdline_size);
  FIELD(hardware_subarch);
  FIELD(hardware_subarch_data);
  FIELD(payload_offset);
  FIELD(payload_length);
  FIELD(setup_data);
  FIELD(pref_address);
  FIELD(init_size);
  FIELD(handover_offset);
  FIELD(kernel_info_offset);
#undef FIELD
}

TEST(LinuxBootParamsTest, ZeroPageIsTheKernels) {
  EXPECT_EQ(sizeof(BootParams), sizeof(boot_params));
  EXPECT_SAME_FIELD(BootParams, acpi_rsdp_addr, boot_params, acpi_rsdp_addr);
  EXPECT_SAME_FIELD(BootParams, e820_entries, boot_params, e820_entries);
  EXPECT_EQ(offsetof(BootParams, hdr), offsetof(boot_params, hdr));
  EXPECT_SAME_FIELD(BootParams, e820_table, boot_params, e820_table);
}

}  // namespace
}  // namespace annulus::boot
