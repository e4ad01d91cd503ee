#ifndef DEVICES_VIRTIO_NET_COALESCED_QUEUE_H_
#define DEVICES_VIRTIO_NET_COALESCED_QUEUE_H_

#include <cstdint>

#include "devices/interrupt.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Stands between a data queue and its worker, and holds used buffer
// notifications back until the conditions of NOTF_COAL are met (virtio 1.4
// §5.1.6.5.10 "Notifications Coalescing"): max_packets frames since the last
// notification, or max_usecs since the first of them, whichever comes first.
// Whether the driver wants one at all is the ring's to say, as ever.
//
// Threads: SetInterrupt() while the queue does not run; the rest on its worker.
// Allocation: none.
class CoalescedQueue final : public QueueHandler, public Interrupt {
 public:
  // All outlive the object. `vq` is the queue's index in `table`.
  CoalescedQueue(QueueHandler& queue, const CoalescingTable& table, uint16_t vq,
                 QueueCounters& counters)
      : queue_(queue), table_(table), vq_(vq), counters_(counters) {}

  // Who is triggered in the end.
  void SetInterrupt(Interrupt* interrupt) { interrupt_ = interrupt; }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override;
  int64_t NotificationDelay() const override {
    return queue_.NotificationDelay();
  }
  void QueueStopped() override;

  // The driver wants to know of what was published.
  void Trigger() override;

 private:
  void Notify();

  QueueHandler& queue_;
  const CoalescingTable& table_;
  const uint16_t vq_;
  QueueCounters& counters_;
  Interrupt* interrupt_ = nullptr;

  // State of the worker.
  bool pending_ = false;          // The driver waits for a notification.
  int64_t deadline_ns_ = 0;       // If so: when it is to come at the latest.
  uint64_t notified_frames_ = 0;  // As many there were at the last one.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_COALESCED_QUEUE_H_
