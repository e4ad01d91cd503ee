#ifndef DEVICES_VIRTIO_NET_BACKEND_LINK_STATE_H_
#define DEVICES_VIRTIO_NET_BACKEND_LINK_STATE_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/virtio/net/backend/net_backend.h"

namespace annulus::virtio {

// Whether a backend's link is up, and who is told when that changes: what
// NetBackend::link_up() and SetLinkObserver() need, and the thread that finds
// out.
//
// Threads: thread-safe. The observer is called on the thread that calls Set(),
//   and must not call SetObserver().
class LinkState {
 public:
  explicit LinkState(bool up) : up_(up) {}

  // Relaxed: guards no other memory; who must not miss a change observes.
  bool up() const { return up_.load(std::memory_order_relaxed); }

  // Tells the observer if that is a change.
  void Set(bool up);

  // Null: nobody. Returns when no call of the former one is under way.
  void SetObserver(LinkObserver* observer);

 private:
  std::atomic<bool> up_;  // Written under mu_.
  Mutex mu_;
  LinkObserver* observer_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_LINK_STATE_H_
