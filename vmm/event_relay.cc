#include "vmm/event_relay.h"

#include "base/clock.h"

namespace annulus {

void EventRelay::OnEvent(const VmEvent& event) {
  VmEvent stamped = event;
  const MutexLock lock(mu_);
  if (stopped_) return;
  stopped_ = event.kind == VmEvent::Kind::kStopped;
  stamped.time_ns = UnixNanoseconds();
  for (VmEventSink* sink : {embedder_, control_}) {
    if (sink != nullptr) sink->OnEvent(stamped);
  }
}

}  // namespace annulus
