#ifndef VMM_CPU_VCPU_SETUP_H_
#define VMM_CPU_VCPU_SETUP_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "vmm/cpu/guest_cpuid.h"
#include "vmm/kvm/cpuid_entry.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace annulus {

// What firmware would leave in every CPU: CPUID, the memory types, a wired
// local APIC, the FPU's reset state.
//
// Threads: before the vCPU's thread exists.
// Errors: those of KvmVcpu; Internal where KVM refuses an MSR.
absl::Status SetUpVcpu(const kvm::KvmVcpu& vcpu,
                       absl::Span<const kvm::CpuidEntry> supported,
                       const GuestCpuidOptions& options);

}  // namespace annulus

#endif  // VMM_CPU_VCPU_SETUP_H_
