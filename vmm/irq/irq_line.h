#ifndef VMM_IRQ_IRQ_LINE_H_
#define VMM_IRQ_IRQ_LINE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "devices/interrupt.h"
#include "vmm/kvm/kvm_vm.h"

namespace annulus {

// An edge-triggered interrupt line: an irqfd on a GSI. KVM raises and lowers
// the line for each signal, without this process.
//
// Threads: thread-safe.
class IrqLine final : public Interrupt {
 public:
  // `vm` outlives the line.
  static absl::StatusOr<std::unique_ptr<IrqLine>> Create(const kvm::KvmVm& vm,
                                                         uint32_t gsi);
  ~IrqLine() override;

  // Hot.
  void Trigger() override { event_.Signal(); }

 private:
  IrqLine(const kvm::KvmVm& vm, uint32_t gsi, EventFd event)
      : vm_(vm), gsi_(gsi), event_(std::move(event)) {}

  const kvm::KvmVm& vm_;
  const uint32_t gsi_;
  const EventFd event_;
};

}  // namespace annulus

#endif  // VMM_IRQ_IRQ_LINE_H_
