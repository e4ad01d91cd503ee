#include "vmm/kvm/kvm_system.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "vmm/kvm/flexible.h"
#include "vmm/kvm/kvm_abi.h"

namespace annulus::kvm {
namespace {

struct NeededCapability {
  int number;
  const char* name;
};

constexpr NeededCapability kNeeded[] = {
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_PIT2, "KVM_CAP_PIT2"},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

// Far above what any CPU reports; the kernel's own limit is 256.
constexpr size_t kMaxCpuidEntries = 256;

}  // namespace

KvmSystem::KvmSystem(UniqueFd fd) : fd_(std::move(fd)) {}

absl::StatusOr<KvmSystem> KvmSystem::Create(UniqueFd fd) {
  KvmSystem system(std::move(fd));
  const int raw = system.fd_.get();
  const int version = ::ioctl(raw, KVM_GET_API_VERSION, 0);
  if (version < 0) {
    return absl::ErrnoToStatus(errno, "/dev/kvm: asking the API version");
  }
  if (version != KVM_API_VERSION) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "/dev/kvm: API version %d, need %d", version, KVM_API_VERSION));
  }
  for (const NeededCapability& needed : kNeeded) {
    if (::ioctl(raw, KVM_CHECK_EXTENSION, needed.number) <= 0) {
      return absl::FailedPreconditionError(
          absl::StrFormat("/dev/kvm: this KVM lacks %s", needed.name));
    }
  }
  const int mmap_size = ::ioctl(raw, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (mmap_size < static_cast<int>(sizeof(kvm_run))) {
    return absl::FailedPreconditionError(
        "/dev/kvm: no usable size of the vCPU's shared page");
  }
  system.vcpu_mmap_size_ = static_cast<size_t>(mmap_size);
  const int max_vcpus = ::ioctl(raw, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
  // 4 is what the API documentation tells to assume where nothing is said.
  system.max_vcpus_ = max_vcpus > 0 ? static_cast<uint32_t>(max_vcpus) : 4;
  system.tsc_deadline_timer_ =
      ::ioctl(raw, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
  return system;
}

absl::StatusOr<UniqueFd> KvmSystem::CreateVm() const {
  int fd;
  do {
    fd = ::ioctl(fd_.get(), KVM_CREATE_VM, 0);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return absl::ErrnoToStatus(errno, "/dev/kvm: creating a VM");
  return UniqueFd(fd);
}

absl::StatusOr<std::vector<CpuidEntry>> KvmSystem::SupportedCpuid() const {
  Flexible<kvm_cpuid2, kvm_cpuid_entry2> cpuid(kMaxCpuidEntries);
  cpuid->nent = kMaxCpuidEntries;
  if (::ioctl(fd_.get(), KVM_GET_SUPPORTED_CPUID, cpuid.get()) != 0) {
    return absl::ErrnoToStatus(errno, "/dev/kvm: asking the supported CPUID");
  }
  std::vector<CpuidEntry> entries;
  entries.reserve(cpuid->nent);
  // KVM lowers nent to what it filled, and fails where that is not enough.
  for (uint32_t i = 0; i < cpuid->nent; ++i) {
    const kvm_cpuid_entry2& entry = cpuid->entries[i];
    entries.push_back({.function = entry.function,
                       .index = entry.index,
                       .index_significant =
                           (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
                       .eax = entry.eax,
                       .ebx = entry.ebx,
                       .ecx = entry.ecx,
                       .edx = entry.edx});
  }
  return entries;
}

}  // namespace annulus::kvm
