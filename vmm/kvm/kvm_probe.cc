#include "vmm/kvm/kvm_probe.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "vmm/kvm/kvm_abi.h"

namespace annulus::kvm {
namespace {

struct Question {
  int number;
  const char* name;
  const char* purpose;
  bool required;
};

constexpr Question kQuestions[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest RAM", true},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "real mode on Intel", true},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "the guest's CPUID", true},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "interrupt controllers", true},
    {KVM_CAP_PIT2, "KVM_CAP_PIT2", "the interval timer", true},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", "MSI-X", true},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "interrupts of virtio devices", true},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "notifications of virtio drivers",
     true},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "pause and stop", true},
    {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "MSI without a route", false},
    {KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER",
     "cheap guest timers", false},
    {KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH",
     "faster notifications", false},
};

int Ask(int fd, int number) { return ::ioctl(fd, KVM_CHECK_EXTENSION, number); }

int CreateAndDropVm(int fd) {
  int vm;
  do {
    vm = ::ioctl(fd, KVM_CREATE_VM, 0);
  } while (vm < 0 && errno == EINTR);
  if (vm < 0) return errno;
  const UniqueFd closer(vm);
  return 0;
}

}  // namespace

KvmFacts ProbeKvm(const std::string& path) {
  KvmFacts facts;
  facts.needed_version = KVM_API_VERSION;
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) {
    facts.open_errno = errno;
    return facts;
  }
  facts.api_version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (facts.api_version != facts.needed_version) return facts;
  for (const Question& question : kQuestions) {
    facts.capabilities.push_back(
        {.name = question.name,
         .purpose = question.purpose,
         .required = question.required,
         .present = Ask(fd.get(), question.number) > 0});
  }
  const int max_vcpus = Ask(fd.get(), KVM_CAP_MAX_VCPUS);
  facts.max_vcpus = max_vcpus > 0 ? static_cast<uint32_t>(max_vcpus) : 0;
  facts.create_errno = CreateAndDropVm(fd.get());
  return facts;
}

}  // namespace annulus::kvm
