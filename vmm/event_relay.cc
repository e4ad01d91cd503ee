#include "vmm/event_relay.h"

#include <cstdint>
#include <ctime>

namespace annulus {
namespace {

int64_t RealtimeNanoseconds() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void EventRelay::OnEvent(const VmEvent& event) {
  VmEvent stamped = event;
  const MutexLock lock(mu_);
  if (stopped_) return;
  stopped_ = event.kind == VmEvent::Kind::kStopped;
  stamped.time_ns = RealtimeNanoseconds();
  for (VmEventSink* sink : {embedder_, control_}) {
    if (sink != nullptr) sink->OnEvent(stamped);
  }
}

}  // namespace annulus
