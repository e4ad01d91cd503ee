#ifndef DEVICES_VIRTIO_NET_BACKEND_LINK_OBSERVER_TESTING_H_
#define DEVICES_VIRTIO_NET_BACKEND_LINK_OBSERVER_TESTING_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/virtio/net/backend/net_backend.h"

namespace annulus::virtio {

// Tells a test's thread what the backend's one says.
class RecordingObserver : public LinkObserver {
 public:
  void LinkChanged(bool up) override {
    const MutexLock lock(mu_);
    changes_.push_back(up);
    changed_.NotifyAll();
  }

  // The n-th change, from 1; blocks until it has come.
  bool Change(size_t n) {
    const MutexLock lock(mu_);
    while (changes_.size() < n) changed_.Wait(mu_);
    return changes_[n - 1];
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<bool> changes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_LINK_OBSERVER_TESTING_H_
