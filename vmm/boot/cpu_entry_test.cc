#include "vmm/boot/cpu_entry.h"

#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

TEST(CpuEntryTest, Linux64IsLongModeWithTheZeroPageInRsi) {
  const BootState state = Linux64Entry(memory::GuestAddress(0x200200));
  EXPECT_EQ(state.rip, 0x200200u);
  EXPECT_EQ(state.rsi, 0x7000u);
  EXPECT_EQ(state.rsp, 0x8ff0u);
  EXPECT_EQ(state.rflags, 2u);  // Interrupts off.
  EXPECT_EQ(state.cr0, 0x80000011u);
  EXPECT_EQ(state.cr3, 0x9000u);
  EXPECT_EQ(state.cr4, 0x20u);
  EXPECT_EQ(state.efer, 0x500u);
  EXPECT_EQ(state.cs.selector, 0x10);
  EXPECT_TRUE(state.cs.long_mode);
  EXPECT_FALSE(state.cs.default_size);
  EXPECT_EQ(state.data.selector, 0x18);
}

TEST(CpuEntryTest, Pvh32IsFlatProtectedModeWithTheStartInfoInRbx) {
  const BootState state = Pvh32Entry(memory::GuestAddress(0x1000850));
  EXPECT_EQ(state.rip, 0x1000850u);
  EXPECT_EQ(state.rbx, 0x6000u);
  EXPECT_EQ(state.rflags, 2u);
  EXPECT_EQ(state.cr0, 0x11u);  // No paging.
  EXPECT_EQ(state.cr4, 0u);
  EXPECT_EQ(state.efer, 0u);
  EXPECT_FALSE(state.cs.long_mode);
  EXPECT_TRUE(state.cs.default_size);
  EXPECT_EQ(state.cs.limit, 0xffffffffu);
  EXPECT_EQ(state.tr.limit, 0x67u);
  EXPECT_FALSE(state.tr.code_or_data);
}

// A kernel that reloads its segment registers must get the same again.
TEST(CpuEntryTest, GdtSaysWhatTheSegmentsSay) {
  SmallGuest guest(2);
  BootState state = Linux64Entry(memory::GuestAddress(0x200200));
  ASSERT_TRUE(WriteGdt(state, guest.memory()).ok());
  EXPECT_EQ(state.gdt.base, 0x500u);
  EXPECT_EQ(state.gdt.limit, 47);
  EXPECT_EQ(guest.Number(0x500, 8), 0u);
  EXPECT_EQ(guest.Number(0x510, 8), 0x00af9b000000ffffu);  // 64-bit code.
  EXPECT_EQ(guest.Number(0x518, 8), 0x00cf93000000ffffu);  // Flat data.
  EXPECT_EQ(guest.Number(0x520, 8), 0x00008b0000000067u);  // Busy TSS.
  EXPECT_EQ(guest.Number(0x528, 8), 0u);

  state = Pvh32Entry(memory::GuestAddress(0x1000850));
  ASSERT_TRUE(WriteGdt(state, guest.memory()).ok());
  EXPECT_EQ(guest.Number(0x510, 8), 0x00cf9b000000ffffu);  // 32-bit code.
}

}  // namespace
}  // namespace annulus::boot
