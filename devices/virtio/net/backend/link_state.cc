#include "devices/virtio/net/backend/link_state.h"

namespace annulus::virtio {

void LinkState::Set(bool up) {
  const MutexLock lock(mu_);
  if (up_.exchange(up, std::memory_order_relaxed) == up) return;
  if (observer_ != nullptr) observer_->LinkChanged(up);
}

void LinkState::SetObserver(LinkObserver* observer) {
  const MutexLock lock(mu_);
  observer_ = observer;
}

}  // namespace annulus::virtio
