#ifndef VMM_IRQ_GSI_ROUTER_H_
#define VMM_IRQ_GSI_ROUTER_H_

#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "vmm/kvm/kvm_vm.h"

namespace annulus {

// The routing table of a VM's interrupts. GSIs 0 to 23 lead to the IOAPIC pin
// of that number; GSIs from 24 on are messages.
//
// None leads to the 8259s that KVM always has beside its IOAPIC. ACPI tells the
// guest that there are none, so that it does not mask them, and an unmasked
// 8259 would turn the serial port's line into an exception.
//
// Threads: thread-safe; SetMessage() is called on vCPU threads when the driver
//   programs a vector.
// Trust: messages are guest-controlled; KVM validates them.
class GsiRouter {
 public:
  static constexpr uint32_t kIoapicPins = 24;
  // KVM's own limit on routes is 4096.
  static constexpr uint32_t kMaxMessages = 1024;

  // `vm` outlives the router.
  explicit GsiRouter(const kvm::KvmVm& vm) : vm_(vm) {}

  // Installs the table, without messages.
  absl::Status Install();

  // A GSI for a message vector; ResourceExhausted beyond kMaxMessages.
  absl::StatusOr<uint32_t> AllocateMessageGsi();

  // Where a message GSI leads from now on, or that it leads nowhere.
  absl::Status SetMessage(uint32_t gsi, uint64_t address, uint32_t data);
  absl::Status ClearMessage(uint32_t gsi);

 private:
  struct Message {
    uint64_t address;
    uint32_t data;
  };

  absl::Status InstallLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const kvm::KvmVm& vm_;
  Mutex mu_;
  uint32_t allocated_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint32_t, Message> messages_ ABSL_GUARDED_BY(mu_);  // By GSI.
};

}  // namespace annulus

#endif  // VMM_IRQ_GSI_ROUTER_H_
