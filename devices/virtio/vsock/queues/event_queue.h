#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_EVENT_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_EVENT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/counter.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves the event virtqueue (virtio 1.4 §5.10.6.7 "Device Events"): puts a
// TRANSPORT_RESET into the driver's next buffer when the gate asks for one, as
// soon as there is a buffer, and opens the gate when another buffer comes.
//
// It looks at the driver's buffers, and asks to be notified of them, only while
// it waits for one: what a driver does to this queue otherwise costs nothing.
//
// Threads: the counters from any; the rest on the queue's worker.
// Trust: buffers are guest-controlled; those too small for an event are given
//   back and counted.
// Allocation: none after construction.
class EventQueue final : public QueueHandler {
 public:
  // `opened` is called when the gate was opened. The gate outlives the queue.
  EventQueue(uint16_t max_queue_size, TransportGate& gate,
             std::function<void()> opened)
      : gate_(gate),
        opened_(std::move(opened)),
        batch_(max_queue_size, max_queue_size) {}

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override { return wait_; }
  void QueueStopped() override { batch_.Abandon(); }

  uint64_t events() const { return events_.value(); }
  uint64_t malformed() const { return malformed_.value(); }

 private:
  bool Post(Virtqueue& queue);

  TransportGate& gate_;
  const std::function<void()> opened_;
  QueueWait wait_;
  ChainBatch batch_;  // All buffers that there were when an event was posted.
  // As many as those, also when the queue was taken from the worker meanwhile
  // and they are to be taken anew: they say nothing of the driver.
  size_t known_ = 0;
  Counter events_;
  Counter malformed_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_EVENT_QUEUE_H_
