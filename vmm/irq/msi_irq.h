#ifndef VMM_IRQ_MSI_IRQ_H_
#define VMM_IRQ_MSI_IRQ_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "devices/pci/msi_vector.h"
#include "vmm/irq/gsi_router.h"
#include "vmm/kvm/kvm_vm.h"

namespace annulus {

// A message-signalled interrupt: an irqfd on a GSI of its own, and that GSI's
// entry in the routing table.
//
// Threads: as pci::MsiVector.
class MsiIrq final : public pci::MsiVector {
 public:
  // References outlive the vector.
  static absl::StatusOr<std::unique_ptr<MsiIrq>> Create(const kvm::KvmVm& vm,
                                                        GsiRouter& router);
  ~MsiIrq() override;

  // Hot.
  void Trigger() override { event_.Signal(); }

  // A message that KVM refuses leads nowhere: the guest's own loss.
  void SetMessage(uint64_t address, uint32_t data) override;
  void ClearMessage() override;

 private:
  MsiIrq(const kvm::KvmVm& vm, GsiRouter& router, uint32_t gsi, EventFd event)
      : vm_(vm), router_(router), gsi_(gsi), event_(std::move(event)) {}

  const kvm::KvmVm& vm_;
  GsiRouter& router_;
  const uint32_t gsi_;
  const EventFd event_;
};

// Makes them for PCI functions.
class MsiIrqFactory final : public pci::MsiVectorFactory {
 public:
  MsiIrqFactory(const kvm::KvmVm& vm, GsiRouter& router)
      : vm_(vm), router_(router) {}

  absl::StatusOr<std::unique_ptr<pci::MsiVector>> CreateVector() override {
    return MsiIrq::Create(vm_, router_);
  }

 private:
  const kvm::KvmVm& vm_;
  GsiRouter& router_;
};

}  // namespace annulus

#endif  // VMM_IRQ_MSI_IRQ_H_
