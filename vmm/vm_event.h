#ifndef VMM_VM_EVENT_H_
#define VMM_VM_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/cpu/vm_exit.h"

namespace annulus {

enum class VmState : uint8_t { kCreated, kRunning, kPaused, kStopped };

// Something that happened to a VM.
//
// Trust: a guest can cause most kinds as often as it likes; whoever receives
//   them bounds what that costs.
struct VmEvent {
  enum class Kind : uint8_t {
    kStarted,      // Start(): the guest runs.
    kPaused,       // Pause() and Resume().
    kResumed,      //
    kDriverReady,  // A driver of `device` set DRIVER_OK.
    kDeviceReset,  // It reset `device`, which had a driver.
    kQueueBroken,  // It broke the rules of `queue` of `device`.
    kLinkChanged,  // That of the network card `device`: `link_up`.
    kStopped,      // The VM has ended: `exit`. The last one.
  };

  Kind kind = Kind::kStarted;
  int64_t time_ns = 0;      // CLOCK_REALTIME, since 1970.
  std::string device = {};  // "net0"; empty where it is about the VM itself.
  uint16_t queue = 0;       // kQueueBroken: its index.
  bool link_up = false;     // kLinkChanged.
  std::optional<VmExit> exit = {};  // kStopped.
};

// Who is told of events.
//
// Threads: OnEvent() is called from any thread of the library, and from the
//   embedder's own within calls of the Vmm; one at a time, and with locks held.
//   It returns soon, calls nothing of the Vmm, and takes no lock that anybody
//   holds who calls the Vmm.
class VmEventSink {
 public:
  virtual ~VmEventSink() = default;
  virtual void OnEvent(const VmEvent& event) = 0;
};

}  // namespace annulus

#endif  // VMM_VM_EVENT_H_
