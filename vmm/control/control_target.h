#ifndef VMM_CONTROL_CONTROL_TARGET_H_
#define VMM_CONTROL_CONTROL_TARGET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "vmm/counter_sample.h"
#include "vmm/vm_event.h"

namespace annulus {

// What is known of a VM.
struct ControlFacts {
  std::string name;
  VmState state = VmState::kCreated;
  int64_t uptime_ms = 0;  // Since Start().
  uint32_t cpus = 0;
  uint64_t memory_bytes = 0;
  uint32_t net_cards = 0;
};

// The VM, as its control socket sees it; all as in vmm/vmm.h.
//
// Threads: thread-safe. Nothing waits for anything but Pause(), which waits for
//   the vCPUs to come back.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;

  virtual ControlFacts Facts() const = 0;
  virtual absl::Status Pause() = 0;
  virtual absl::Status Resume() = 0;
  // Vmm::Stop(), told from that of the embedder.
  virtual void StopByControl() = 0;
  virtual absl::Status PressPowerButton() = 0;
  virtual absl::Status SetLink(uint32_t card, bool up) = 0;
  virtual std::vector<CounterSample> Counters() const = 0;
};

}  // namespace annulus

#endif  // VMM_CONTROL_CONTROL_TARGET_H_
