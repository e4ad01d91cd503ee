#include "vmm/control/control_events.h"

#include <utility>

#include "base/clock.h"

namespace annulus {

ControlEvents::ControlEvents(EventFd ready) : ready_(std::move(ready)) {}

void ControlEvents::OnEvent(const VmEvent& event) {
  if (!listened_.load(std::memory_order_relaxed)) return;
  // What is about a device, its driver can cause.
  const bool allowed =
      event.device.empty() || limiter_.Allow(MonotonicNanoseconds());
  const bool last = event.kind == VmEvent::Kind::kStopped;
  bool first = false;
  {
    const MutexLock lock(mu_);
    if (!allowed || (queued_.size() >= kMaxQueued && !last)) {
      ++lost_;
      return;
    }
    first = queued_.empty();
    queued_.push_back({.event = event, .lost = std::exchange(lost_, 0)});
  }
  if (first) ready_.Signal();
}

std::vector<ControlEvents::Event> ControlEvents::Take() {
  ready_.Drain();
  const MutexLock lock(mu_);
  return std::exchange(queued_, {});
}

}  // namespace annulus
