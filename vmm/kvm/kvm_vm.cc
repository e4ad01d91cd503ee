#include "vmm/kvm/kvm_vm.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "vmm/kvm/flexible.h"
#include "vmm/kvm/kvm_abi.h"

namespace annulus::kvm {
namespace {

absl::Status IoctlError(absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrFormat("KVM: %s", what));
}

kvm_irq_routing_entry ToKernel(const GsiRoute& route) {
  kvm_irq_routing_entry entry = {};
  entry.gsi = route.gsi;
  if (route.kind == GsiRoute::Kind::kMsi) {
    entry.type = KVM_IRQ_ROUTING_MSI;
    entry.u.msi.address_lo = static_cast<uint32_t>(route.msi_address);
    entry.u.msi.address_hi = static_cast<uint32_t>(route.msi_address >> 32);
    entry.u.msi.data = route.msi_data;
  } else {
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
    entry.u.irqchip.pin = route.pin;
  }
  return entry;
}

absl::Status ChangeIrqFd(int vm, int event_fd, uint32_t gsi, uint32_t flags) {
  kvm_irqfd irqfd = {};
  irqfd.fd = static_cast<uint32_t>(event_fd);
  irqfd.gsi = gsi;
  irqfd.flags = flags;
  if (::ioctl(vm, KVM_IRQFD, &irqfd) != 0) {
    return IoctlError(absl::StrFormat("irqfd for GSI %u", gsi));
  }
  return absl::OkStatus();
}

absl::Status ChangeIoEventFd(int vm, int event_fd, const IoEvent& event,
                             uint32_t flags) {
  kvm_ioeventfd ioeventfd = {};
  ioeventfd.fd = event_fd;
  ioeventfd.addr = event.address.value();
  ioeventfd.len = event.width;
  ioeventfd.flags = flags;
  if (event.data.has_value()) {
    ioeventfd.datamatch = *event.data;
    ioeventfd.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
  }
  if (::ioctl(vm, KVM_IOEVENTFD, &ioeventfd) != 0) {
    return IoctlError(
        absl::StrFormat("ioeventfd at %#x", event.address.value()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status KvmVm::CreatePlatform(memory::GuestAddress tss,
                                   memory::GuestAddress identity_map) const {
  uint64_t identity = identity_map.value();
  if (::ioctl(fd_.get(), KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0) {
    return IoctlError("setting the identity map address");
  }
  if (::ioctl(fd_.get(), KVM_SET_TSS_ADDR, tss.value()) != 0) {
    return IoctlError("setting the TSS address");
  }
  if (::ioctl(fd_.get(), KVM_CREATE_IRQCHIP, 0) != 0) {
    return IoctlError("creating the interrupt controllers");
  }
  kvm_pit_config pit = {};
  pit.flags = KVM_PIT_SPEAKER_DUMMY;
  if (::ioctl(fd_.get(), KVM_CREATE_PIT2, &pit) != 0) {
    return IoctlError("creating the timer");
  }
  return absl::OkStatus();
}

absl::Status KvmVm::SetMemory(uint32_t slot,
                              const memory::GuestRegion& region) const {
  kvm_userspace_memory_region kernel_region = {};
  kernel_region.slot = slot;
  kernel_region.guest_phys_addr = region.start.value();
  kernel_region.memory_size = region.size;
  kernel_region.userspace_addr = reinterpret_cast<uint64_t>(region.host);
  if (::ioctl(fd_.get(), KVM_SET_USER_MEMORY_REGION, &kernel_region) != 0) {
    return IoctlError(absl::StrFormat("mapping %u MiB of guest RAM at %#x",
                                      region.size >> 20, region.start.value()));
  }
  return absl::OkStatus();
}

absl::Status KvmVm::SetGsiRouting(absl::Span<const GsiRoute> routes) const {
  Flexible<kvm_irq_routing, kvm_irq_routing_entry> table(routes.size());
  table->nr = static_cast<uint32_t>(routes.size());
  for (size_t i = 0; i < routes.size(); ++i) {
    table->entries[i] = ToKernel(routes[i]);
  }
  if (::ioctl(fd_.get(), KVM_SET_GSI_ROUTING, table.get()) != 0) {
    return IoctlError(absl::StrFormat("routing %u interrupts", routes.size()));
  }
  return absl::OkStatus();
}

absl::Status KvmVm::AttachIrqFd(int event_fd, uint32_t gsi) const {
  return ChangeIrqFd(fd_.get(), event_fd, gsi, 0);
}

absl::Status KvmVm::DetachIrqFd(int event_fd, uint32_t gsi) const {
  return ChangeIrqFd(fd_.get(), event_fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

absl::Status KvmVm::AttachIoEventFd(int event_fd, const IoEvent& event) const {
  return ChangeIoEventFd(fd_.get(), event_fd, event, 0);
}

absl::Status KvmVm::DetachIoEventFd(int event_fd, const IoEvent& event) const {
  return ChangeIoEventFd(fd_.get(), event_fd, event,
                         KVM_IOEVENTFD_FLAG_DEASSIGN);
}

absl::StatusOr<UniqueFd> KvmVm::CreateVcpu(uint32_t id) const {
  const int vcpu = ::ioctl(fd_.get(), KVM_CREATE_VCPU, id);
  if (vcpu < 0) return IoctlError(absl::StrFormat("creating vCPU %u", id));
  return UniqueFd(vcpu);
}

}  // namespace annulus::kvm
