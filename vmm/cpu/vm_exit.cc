#include "vmm/cpu/vm_exit.h"

namespace annulus {

absl::string_view ExitReasonName(ExitReason reason) {
  switch (reason) {
    case ExitReason::kGuestPoweroff:
      return "guest poweroff";
    case ExitReason::kGuestReset:
      return "guest reset";
    case ExitReason::kTripleFault:
      return "triple fault";
    case ExitReason::kEmulationFailure:
      return "emulation failure";
    case ExitReason::kStopRequested:
      return "stop requested";
    case ExitReason::kHostError:
      return "host error";
    case ExitReason::kDebugExit:
      return "debug exit";
  }
  return "unknown";
}

}  // namespace annulus
