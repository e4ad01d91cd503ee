#include "vmm/irq/msi_irq.h"

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<MsiIrq>> MsiIrq::Create(const kvm::KvmVm& vm,
                                                       GsiRouter& router) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd event, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(const uint32_t gsi, router.AllocateMessageGsi());
  ANNULUS_RETURN_IF_ERROR(vm.AttachIrqFd(event.fd(), gsi));
  return std::unique_ptr<MsiIrq>(new MsiIrq(vm, router, gsi, std::move(event)));
}

MsiIrq::~MsiIrq() {
  // Fails only if the VM is gone, and the binding with it.
  vm_.DetachIrqFd(event_.fd(), gsi_).IgnoreError();
}

void MsiIrq::SetMessage(uint64_t address, uint32_t data) {
  if (!router_.SetMessage(gsi_, address, data).ok()) ClearMessage();
}

void MsiIrq::ClearMessage() {
  // Fails only for want of kernel memory; then a stale message stays.
  router_.ClearMessage(gsi_).IgnoreError();
}

}  // namespace annulus
