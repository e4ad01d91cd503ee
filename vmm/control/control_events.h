#ifndef VMM_CONTROL_CONTROL_EVENTS_H_
#define VMM_CONTROL_CONTROL_EVENTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "vmm/vm_event.h"

namespace annulus {

// The way of events from all threads of a VM to the control thread: bounded,
// and at a bounded rate, as a guest can cause them for ever.
//
// Threads: OnEvent() from any thread, the rest on the control thread.
// Allocation: while somebody listens, up to kMaxQueued events.
class ControlEvents final : public VmEventSink {
 public:
  static constexpr size_t kMaxQueued = 256;
  static constexpr uint32_t kBurst = 1000;  // Device events, every kInterval.
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  struct Event {
    VmEvent event;
    uint64_t lost = 0;  // Before it.
  };

  explicit ControlEvents(EventFd ready);

  void OnEvent(const VmEvent& event) override;

  // Whether anybody is to be told; at first nobody.
  void SetListened(bool listened) {
    listened_.store(listened, std::memory_order_relaxed);
  }

  // Readable when there are events.
  int ready_fd() const { return ready_.fd(); }
  std::vector<Event> Take();

 private:
  const EventFd ready_;
  RateLimiter limiter_{kBurst, kInterval};  // Thread-safe.
  // Relaxed: who begins to listen hears what comes later.
  std::atomic<bool> listened_{false};

  Mutex mu_;
  std::vector<Event> queued_ ABSL_GUARDED_BY(mu_);
  uint64_t lost_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace annulus

#endif  // VMM_CONTROL_CONTROL_EVENTS_H_
