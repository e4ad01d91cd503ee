#ifndef VMM_CPU_VM_EXIT_H_
#define VMM_CPU_VM_EXIT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace annulus {

// Why a VM stopped.
enum class ExitReason : uint8_t {
  kGuestPoweroff,     // ACPI S5.
  kGuestReset,        // ACPI reset register or keyboard controller.
  kTripleFault,       // The guest's CPU shut down.
  kEmulationFailure,  // KVM met an instruction that it cannot emulate.
  kStopRequested,     // Vmm::Stop().
  kHostError,         // A host call failed.
  kDebugExit,         // The guest wrote the debug exit port; see `code`.
};

// "guest poweroff" and so on, for people.
absl::string_view ExitReasonName(ExitReason reason);

// What Vmm::Wait() returns.
//
// Trust: which reason it is, `code`, and addresses and bytes in `detail` are
//   guest-controlled. kHostError too: a guest can bring KVM into states that it
//   reports as an internal error or a refused entry.
struct VmExit {
  ExitReason reason = ExitReason::kHostError;
  // One line for people: which vCPU, instruction bytes, the host's error.
  // Empty where the reason says it all.
  std::string detail = {};
  uint32_t code = 0;  // kDebugExit: what the guest wrote.
};

}  // namespace annulus

#endif  // VMM_CPU_VM_EXIT_H_
