#ifndef VMM_EVENT_RELAY_H_
#define VMM_EVENT_RELAY_H_

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "vmm/vm_event.h"

namespace annulus {

// Passes a VM's events on to those who want them: in one order for all, with
// the time at which they happened, and none after kStopped.
//
// Threads: OnEvent() from any thread, SetSinks() before there are others.
class EventRelay final : public VmEventSink {
 public:
  // Either may be null; both outlive the relay.
  void SetSinks(VmEventSink* embedder, VmEventSink* control) {
    const MutexLock lock(mu_);
    embedder_ = embedder;
    control_ = control;
  }

  void OnEvent(const VmEvent& event) override;

 private:
  // Held while the sinks are told, which is what makes the order one. The last
  // lock that is taken, but for those of the sinks.
  Mutex mu_;
  VmEventSink* embedder_ ABSL_GUARDED_BY(mu_) = nullptr;
  VmEventSink* control_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace annulus

#endif  // VMM_EVENT_RELAY_H_
