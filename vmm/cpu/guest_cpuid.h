#ifndef VMM_CPU_GUEST_CPUID_H_
#define VMM_CPU_GUEST_CPUID_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "vmm/kvm/cpuid_entry.h"

namespace annulus {

struct GuestCpuidOptions {
  uint32_t vcpu_id = 0;     // Also its APIC id.
  uint32_t vcpu_count = 1;  // All in one package, one thread a core.
  bool tsc_deadline_timer = false;
};

// The CPUID leaves of one vCPU: what KVM supports on this host, KVM's own
// leaves included, with the topology of this VM in place of the host's.
//
// Threads: a pure function. vcpu_count is 1 to 64, what leaf 4 can say.
// Sources: Intel SDM vol. 2 "CPUID", AMD APM vol. 3 appendix E.
std::vector<kvm::CpuidEntry> GuestCpuid(
    absl::Span<const kvm::CpuidEntry> supported,
    const GuestCpuidOptions& options);

}  // namespace annulus

#endif  // VMM_CPU_GUEST_CPUID_H_
