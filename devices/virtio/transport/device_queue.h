#ifndef DEVICES_VIRTIO_TRANSPORT_DEVICE_QUEUE_H_
#define DEVICES_VIRTIO_TRANSPORT_DEVICE_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/event_fd.h"
#include "base/shared_event_signal.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/queue_registers.h"

namespace annulus::virtio {

// One virtqueue as its driver has set it up (virtio 1.4 §2.6 "Virtqueues"):
// its registers, what of them was latched when it was enabled, and where its
// available buffer notifications arrive. The ring itself is the device's.
//
// Threads: DeviceState guards all of it, but Notify(), NotifyBy() and
//   notification(), which any thread may call without a lock.
// Trust: the registers are guest-controlled.
// Allocation: none.
class DeviceQueue {
 public:
  DeviceQueue(uint16_t size_max, EventFd notification)
      : registers_(size_max), notification_(std::move(notification)) {}

  QueueRegisters& registers() { return registers_; }
  const QueueRegisters& registers() const { return registers_; }

  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  // Latches the registers; false, and not enabled, where their size is 0.
  bool Enable(const FeatureSet& features);
  // Returns whether it was enabled.
  bool Disable() { return enabled_.exchange(false, std::memory_order_relaxed); }
  // What the device runs on.
  const QueueConfig& latched() const { return latched_; }

  // As a device reset leaves it. REQUIRES: no worker uses the queue.
  void ReturnToDefaults();

  // Signals notification(), if the queue is enabled.
  void Notify() const;
  // Likewise, where another process could make that wait.
  void NotifyBy(const SharedEventSignal& signal) const;
  const EventFd& notification() const { return notification_; }

 private:
  QueueRegisters registers_;
  QueueConfig latched_;
  const EventFd notification_;
  std::atomic<bool> enabled_{false};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_DEVICE_QUEUE_H_
