#ifndef VMM_KVM_CPUID_ENTRY_H_
#define VMM_KVM_CPUID_ENTRY_H_

#include <cstdint>

namespace annulus::kvm {

// One CPUID leaf as the guest sees it. `index` (ECX on input) matters only
// where `index_significant`.
struct CpuidEntry {
  uint32_t function = 0;
  uint32_t index = 0;
  bool index_significant = false;
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_CPUID_ENTRY_H_
