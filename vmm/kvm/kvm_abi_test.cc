// The layout of the kernel's structures that vmm/kvm passes to ioctls: that of
// <linux/kvm.h> in C on x86-64, which rust-vmm's kvm-bindings have too.

#include "vmm/kvm/kvm_abi.h"

#include <cstddef>

#include "gtest/gtest.h"

namespace annulus::kvm {
namespace {

TEST(KvmAbiTest, SizesAreThoseOfTheStableAbi) {
  EXPECT_EQ(sizeof(kvm_regs), 144u);
  EXPECT_EQ(sizeof(kvm_sregs), 312u);
  EXPECT_EQ(sizeof(kvm_segment), 24u);
  EXPECT_EQ(sizeof(kvm_dtable), 16u);
  EXPECT_EQ(sizeof(kvm_fpu), 416u);
  EXPECT_EQ(sizeof(kvm_lapic_state), 1024u);
  EXPECT_EQ(sizeof(kvm_cpuid_entry2), 40u);
  EXPECT_EQ(sizeof(kvm_msr_entry), 16u);
  EXPECT_EQ(sizeof(kvm_userspace_memory_region), 32u);
  EXPECT_EQ(sizeof(kvm_irqfd), 32u);
  EXPECT_EQ(sizeof(kvm_ioeventfd), 64u);
  EXPECT_EQ(sizeof(kvm_irq_routing_entry), 48u);
  EXPECT_EQ(sizeof(kvm_pit_config), 64u);
  EXPECT_EQ(sizeof(kvm_translation), 24u);
}

TEST(KvmAbiTest, ArraysTakeNoSpaceInTheStructuresThatTheyEnd) {
  EXPECT_EQ(sizeof(kvm_cpuid2), 8u);
  EXPECT_EQ(sizeof(kvm_msrs), 8u);
  EXPECT_EQ(sizeof(kvm_irq_routing), 8u);
  EXPECT_EQ(sizeof(kvm_signal_mask), 4u);
  EXPECT_EQ(offsetof(kvm_cpuid2, entries), 8u);
  EXPECT_EQ(offsetof(kvm_msrs, entries), 8u);
  EXPECT_EQ(offsetof(kvm_irq_routing, entries), 8u);
  EXPECT_EQ(offsetof(kvm_signal_mask, sigset), 4u);
}

TEST(KvmAbiTest, IoctlNumbersEncodeTheSizesOfC) {
  EXPECT_EQ(KVM_GET_SUPPORTED_CPUID, 0xc008ae05u);
  EXPECT_EQ(KVM_SET_CPUID2, 0x4008ae90u);
  EXPECT_EQ(KVM_SET_MSRS, 0x4008ae89u);
  EXPECT_EQ(KVM_SET_GSI_ROUTING, 0x4008ae6au);
  EXPECT_EQ(KVM_SET_SIGNAL_MASK, 0x4004ae8bu);
}

TEST(KvmAbiTest, OffsetsOfTheSharedPageAreThoseOfTheStableAbi) {
  EXPECT_EQ(offsetof(kvm_run, immediate_exit), 1u);
  EXPECT_EQ(offsetof(kvm_run, exit_reason), 8u);
  EXPECT_EQ(offsetof(kvm_run, io.direction), 32u);
  EXPECT_EQ(offsetof(kvm_run, io.size), 33u);
  EXPECT_EQ(offsetof(kvm_run, io.port), 34u);
  EXPECT_EQ(offsetof(kvm_run, io.count), 36u);
  EXPECT_EQ(offsetof(kvm_run, io.data_offset), 40u);
  EXPECT_EQ(offsetof(kvm_run, mmio.phys_addr), 32u);
  EXPECT_EQ(offsetof(kvm_run, mmio.data), 40u);
  EXPECT_EQ(offsetof(kvm_run, mmio.len), 48u);
  EXPECT_EQ(offsetof(kvm_run, mmio.is_write), 52u);
  EXPECT_EQ(offsetof(kvm_run, internal.suberror), 32u);
  EXPECT_EQ(offsetof(kvm_run, emulation_failure.flags), 40u);
  EXPECT_EQ(offsetof(kvm_run, emulation_failure.insn_size), 48u);
  EXPECT_EQ(offsetof(kvm_run, emulation_failure.insn_bytes), 49u);
}

TEST(KvmAbiTest, OffsetsOfRegistersAndRoutesAreThoseOfTheStableAbi) {
  EXPECT_EQ(offsetof(kvm_regs, rip), 128u);
  EXPECT_EQ(offsetof(kvm_regs, rflags), 136u);
  EXPECT_EQ(offsetof(kvm_sregs, tr), 144u);
  EXPECT_EQ(offsetof(kvm_sregs, gdt), 192u);
  EXPECT_EQ(offsetof(kvm_sregs, cr0), 224u);
  EXPECT_EQ(offsetof(kvm_sregs, efer), 264u);
  EXPECT_EQ(offsetof(kvm_irq_routing_entry, u), 16u);
  EXPECT_EQ(offsetof(kvm_ioeventfd, fd), 20u);
  EXPECT_EQ(offsetof(kvm_userspace_memory_region, userspace_addr), 24u);
}

}  // namespace
}  // namespace annulus::kvm
