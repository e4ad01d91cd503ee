#ifndef VMM_DOCTOR_HOST_FACTS_H_
#define VMM_DOCTOR_HOST_FACTS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "vmm/kvm/kvm_probe.h"

namespace annulus {

enum class HardwareVirtualization : uint8_t { kNone, kVmx, kSvm };

// What a host is like as far as VMs care: numbers, no judgement. Sizes in
// bytes.
struct HostFacts {
  kvm::KvmFacts kvm;
  HardwareVirtualization hardware = HardwareVirtualization::kNone;

  // errno of opening each for reading and writing; 0: it can be opened.
  int tun_errno = 0;
  int vhost_net_errno = 0;
  int vhost_vsock_errno = 0;

  // What the sandbox is made of.
  bool seccomp_filters = false;
  int landlock_version = 0;  // 0: there is none.

  uint64_t memory_total = 0;
  uint64_t memory_available = 0;
  uint64_t hugepages_total = 0;  // Pages of 2 MiB.
  uint64_t hugepages_free = 0;

  uint64_t memlock_limit = 0;  // UINT64_MAX: none.
  uint64_t file_limit = 0;     // Likewise; the hard one.
};

HostFacts GatherHostFacts();

// Parts of the above, from the text of files of procfs.

// The number behind "NAME:" at the beginning of a line of /proc/meminfo, times
// 1024 if " kB" follows; 0 if there is none.
uint64_t MeminfoValue(absl::string_view meminfo, absl::string_view name);

// From the flags in /proc/cpuinfo.
HardwareVirtualization HardwareFromCpuinfo(absl::string_view cpuinfo);

}  // namespace annulus

#endif  // VMM_DOCTOR_HOST_FACTS_H_
