#ifndef VMM_KVM_KVM_PROBE_H_
#define VMM_KVM_KVM_PROBE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace annulus::kvm {

// One thing that a KVM may be able to do.
struct KvmCapability {
  const char* name;     // As <linux/kvm.h> calls it.
  const char* purpose;  // What Annulus does with it.
  bool required;        // No VM runs without.
  bool present;
};

// What /dev/kvm is like, for people; kvm_system.h is what VMs are made with.
struct KvmFacts {
  int open_errno = 0;      // Why it cannot be opened; 0: it can.
  int api_version = 0;     // Negative: not a KVM.
  int needed_version = 0;  // The one that every KVM since Linux 2.6.22 has.
  int create_errno = 0;    // Why no VM can be created; 0: it can.
  uint32_t max_vcpus = 0;
  std::vector<KvmCapability> capabilities;
};

// Opens `path`, asks, creates an empty VM and drops it again.
//
// Threads: any.
KvmFacts ProbeKvm(const std::string& path);

}  // namespace annulus::kvm

#endif  // VMM_KVM_KVM_PROBE_H_
