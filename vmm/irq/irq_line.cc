#include "vmm/irq/irq_line.h"

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<IrqLine>> IrqLine::Create(const kvm::KvmVm& vm,
                                                         uint32_t gsi) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd event, EventFd::Create());
  ANNULUS_RETURN_IF_ERROR(vm.AttachIrqFd(event.fd(), gsi));
  return std::unique_ptr<IrqLine>(new IrqLine(vm, gsi, std::move(event)));
}

IrqLine::~IrqLine() {
  // Fails only if the VM is gone, and the binding with it.
  vm_.DetachIrqFd(event_.fd(), gsi_).IgnoreError();
}

}  // namespace annulus
