#include "devices/virtio/net/control/settings_store.h"

#include <utility>

namespace annulus::virtio {

NetSettingsStore::NetSettingsStore()
    : current_(std::make_shared<const NetSettings>()) {}

void NetSettingsStore::Publish(const NetSettings& settings) {
  auto next = std::make_shared<const NetSettings>(settings);
  {
    const MutexLock lock(mu_);
    std::swap(current_, next);
    // Release: pairs with the acquire of NetSettingsReader::Refresh().
    version_.fetch_add(1, std::memory_order_release);
  }
  // The old settings, if nobody looks at them, end here and not under the lock.
}

std::shared_ptr<const NetSettings> NetSettingsStore::Current() const {
  const MutexLock lock(mu_);
  return current_;
}

void NetSettingsReader::Take() {
  std::shared_ptr<const NetSettings> newest;
  {
    const MutexLock lock(store_.mu_);
    newest = store_.current_;
    seen_ = store_.version_.load(std::memory_order_relaxed);  // Under mu_.
  }
  settings_ = std::move(newest);
}

}  // namespace annulus::virtio
