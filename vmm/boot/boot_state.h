#ifndef VMM_BOOT_BOOT_STATE_H_
#define VMM_BOOT_BOOT_STATE_H_

#include <cstdint>

namespace annulus::boot {

// How a kernel wants to be entered.
enum class BootProtocol : uint8_t {
  kLinux64,  // Linux/x86 boot protocol, "64-bit Boot Protocol".
  kPvh32,    // Xen's x86/HVM direct boot ABI, "PVH".
};

// A segment register with its hidden part, in the terms of the Intel SDM
// volume 3 §3.4.5 "Segment Descriptors".
struct SegmentState {
  uint16_t selector = 0;
  uint64_t base = 0;
  uint32_t limit = 0;        // In bytes, whatever `granularity` says.
  uint8_t type = 0;          // Four bits.
  bool code_or_data = true;  // S: false for a system segment such as a TSS.
  bool present = true;
  bool long_mode = false;     // L
  bool default_size = false;  // D/B
  bool granularity = false;   // G
};

struct DescriptorTableState {
  uint64_t base = 0;
  uint16_t limit = 0;
};

// What the first vCPU's registers hold when it enters the kernel; plain data,
// so that this package knows nothing of KVM. Registers that are not named are
// 0; privilege level 0 throughout.
struct BootState {
  BootProtocol protocol = BootProtocol::kLinux64;
  uint64_t rip = 0;
  uint64_t rsp = 0;
  uint64_t rsi = 0;     // kLinux64: the zero page.
  uint64_t rbx = 0;     // kPvh32: hvm_start_info.
  uint64_t rflags = 2;  // Only the bit that is always set: interrupts off.
  uint64_t cr0 = 0;
  uint64_t cr3 = 0;
  uint64_t cr4 = 0;
  uint64_t efer = 0;
  SegmentState cs;
  SegmentState data;  // ds, es, fs, gs and ss alike.
  SegmentState tr;
  DescriptorTableState gdt;
  DescriptorTableState idt;  // Empty: a fault this early is a triple fault.
};

}  // namespace annulus::boot

#endif  // VMM_BOOT_BOOT_STATE_H_
