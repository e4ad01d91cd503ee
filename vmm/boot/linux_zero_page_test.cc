#include "vmm/boot/linux_zero_page.h"

#include <vector>

#include "gtest/gtest.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

// Read from the bytes by the offsets of zero-page.rst and boot.rst.
template <typename T>
T At(const BootParams& params, size_t offset) {
  const auto bytes = ToBytes(params);
  return FromBytes<T>(absl::MakeSpan(bytes).subspan(offset));
}

TEST(LinuxZeroPageTest, LoadersFieldsAreFilledIn) {
  KernelImage kernel;
  kernel.setup_header = DebianLikeSetupHeader();
  kernel.setup_header->setup_data = 0xdead;  // Not ours to believe.
  const std::vector<MemoryMapEntry> map = {
      {{GuestAddress(0), 0x9fc00}, MemoryType::kRam},
      {{GuestAddress(0x9fc00), 0x60400}, MemoryType::kReserved}};
  const BootParams params = BuildZeroPage(
      kernel, {.initrd = AddressRange{GuestAddress(0x7000000), 1234},
               .rsdp = GuestAddress(0xe0000),
               .memory_map = map});
  EXPECT_EQ(At<Le64>(params, 0x70), 0xe0000u);      // acpi_rsdp_addr
  EXPECT_EQ(At<Le16>(params, 0x1fe), 0xaa55);       // boot_flag
  EXPECT_EQ(At<Le32>(params, 0x202), 0x53726448u);  // "HdrS"
  EXPECT_EQ(At<uint8_t>(params, 0x210), 0xff);      // type_of_loader
  EXPECT_EQ(At<Le32>(params, 0x218), 0x7000000u);   // ramdisk_image
  EXPECT_EQ(At<Le32>(params, 0x21c), 1234u);        // ramdisk_size
  EXPECT_EQ(At<Le32>(params, 0x228), 0x20000u);     // cmd_line_ptr
  EXPECT_EQ(At<Le64>(params, 0x250), 0u);           // setup_data
  EXPECT_EQ(At<Le32>(params, 0x260), 0x10000u);     // init_size, as it was.
  EXPECT_EQ(At<uint8_t>(params, 0x1e8), 2);         // e820_entries
  EXPECT_EQ(At<Le64>(params, 0x2d0), 0u);
  EXPECT_EQ(At<Le64>(params, 0x2d8), 0x9fc00u);
  EXPECT_EQ(At<Le32>(params, 0x2e0), 1u);
  EXPECT_EQ(At<Le64>(params, 0x2e4), 0x9fc00u);
  EXPECT_EQ(At<Le64>(params, 0x2ec), 0x60400u);
  EXPECT_EQ(At<Le32>(params, 0x2f4), 2u);
}

TEST(LinuxZeroPageTest, ElfKernelGetsAHeaderOfItsOwn) {
  const BootParams params = BuildZeroPage({}, {});
  EXPECT_EQ(At<Le16>(params, 0x1fe), 0xaa55);
  EXPECT_EQ(At<Le32>(params, 0x202), 0x53726448u);
  EXPECT_EQ(At<Le16>(params, 0x206), 0x020c);
  EXPECT_EQ(At<Le32>(params, 0x218), 0u);
  EXPECT_EQ(At<Le32>(params, 0x228), 0x20000u);
}

// The kernel clears half the page where this byte is not 0.
TEST(LinuxZeroPageTest, SentinelIsZero) {
  EXPECT_EQ(At<uint8_t>(BuildZeroPage({}, {}), 0x1ef), 0);
}

}  // namespace
}  // namespace annulus::boot
