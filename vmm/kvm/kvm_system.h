#ifndef VMM_KVM_KVM_SYSTEM_H_
#define VMM_KVM_KVM_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "vmm/kvm/cpuid_entry.h"

namespace annulus::kvm {

// /dev/kvm: what the host's KVM can do, and the source of VMs.
//
// Threads: thread-compatible.
// Errors: where nothing else is said, the ioctl's errno with what was tried.
class KvmSystem {
 public:
  // Takes an open /dev/kvm. Fails with FailedPrecondition where the API
  // version or a capability that Annulus needs is missing, naming it.
  static absl::StatusOr<KvmSystem> Create(UniqueFd fd);

  // KVM_CREATE_VM.
  absl::StatusOr<UniqueFd> CreateVm() const;

  // KVM_GET_SUPPORTED_CPUID: every leaf that KVM can show to a guest here.
  absl::StatusOr<std::vector<CpuidEntry>> SupportedCpuid() const;

  // Bytes of the structure that a vCPU shares with the kernel.
  size_t vcpu_mmap_size() const { return vcpu_mmap_size_; }

  // Most vCPUs of one VM.
  uint32_t max_vcpus() const { return max_vcpus_; }

  // True if the APIC timer's TSC deadline mode works, which KVM does not say
  // in SupportedCpuid().
  bool has_tsc_deadline_timer() const { return tsc_deadline_timer_; }

 private:
  explicit KvmSystem(UniqueFd fd);

  UniqueFd fd_;
  size_t vcpu_mmap_size_ = 0;
  uint32_t max_vcpus_ = 0;
  bool tsc_deadline_timer_ = false;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_KVM_SYSTEM_H_
