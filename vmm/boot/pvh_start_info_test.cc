#include "vmm/boot/pvh_start_info.h"

#include <vector>

#include "gtest/gtest.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

TEST(PvhStartInfoTest, PointsToModuleCommandLineRsdpAndMap) {
  SmallGuest guest(2);
  const std::vector<MemoryMapEntry> map = {
      {{GuestAddress(0), 0x9fc00}, MemoryType::kRam},
      {{GuestAddress(0x9fc00), 0x60400}, MemoryType::kReserved}};
  ASSERT_TRUE(
      WritePvhStartInfo({.initrd = AddressRange{GuestAddress(0x180000), 1234},
                         .rsdp = GuestAddress(0xe0000),
                         .memory_map = map},
                        guest.memory())
          .ok());
  // By the offsets of the ABI.
  EXPECT_EQ(guest.Number(0x6000, 4), 0x336ec578u);
  EXPECT_EQ(guest.Number(0x6004, 4), 1u);        // version
  EXPECT_EQ(guest.Number(0x6008, 4), 0u);        // flags
  EXPECT_EQ(guest.Number(0x600c, 4), 1u);        // nr_modules
  EXPECT_EQ(guest.Number(0x6010, 8), 0x6040u);   // modlist_paddr
  EXPECT_EQ(guest.Number(0x6018, 8), 0x20000u);  // cmdline_paddr
  EXPECT_EQ(guest.Number(0x6020, 8), 0xe0000u);  // rsdp_paddr
  EXPECT_EQ(guest.Number(0x6028, 8), 0x7000u);   // memmap_paddr
  EXPECT_EQ(guest.Number(0x6030, 4), 2u);        // memmap_entries
  EXPECT_EQ(guest.Number(0x6040, 8), 0x180000u);
  EXPECT_EQ(guest.Number(0x6048, 8), 1234u);
  EXPECT_EQ(guest.Number(0x7018, 8), 0x9fc00u);
  EXPECT_EQ(guest.Number(0x7020, 8), 0x60400u);
  EXPECT_EQ(guest.Number(0x7028, 4), 2u);
}

TEST(PvhStartInfoTest, WithoutInitrdThereIsNoModule) {
  SmallGuest guest(2);
  ASSERT_TRUE(WritePvhStartInfo({}, guest.memory()).ok());
  EXPECT_EQ(guest.Number(0x600c, 4), 0u);
  EXPECT_EQ(guest.Number(0x6010, 8), 0u);
}

}  // namespace
}  // namespace annulus::boot
