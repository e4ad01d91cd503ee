#include "devices/virtio/transport/device_queue.h"

#include <optional>

namespace annulus::virtio {

bool DeviceQueue::Enable(const FeatureSet& features) {
  const std::optional<QueueConfig> config = registers_.Latch(features);
  if (!config.has_value()) return false;
  latched_ = *config;
  enabled_.store(true, std::memory_order_relaxed);
  return true;
}

void DeviceQueue::ReturnToDefaults() {
  enabled_.store(false, std::memory_order_relaxed);
  registers_.Reset();
  latched_ = QueueConfig();
  // Notifications of the past; one that comes just now costs a look at a ring.
  notification_.Drain();
}

void DeviceQueue::Notify() const {
  // Relaxed: a notification that meets enable or reset half way may come too
  // early or too late; the worker looks at the ring, not at the count.
  if (enabled_.load(std::memory_order_relaxed)) notification_.Signal();
}

void DeviceQueue::NotifyBy(const SharedEventSignal& signal) const {
  // Relaxed: as above.
  if (enabled_.load(std::memory_order_relaxed)) {
    signal.Signal(notification_.fd());
  }
}

}  // namespace annulus::virtio
