#ifndef DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_
#define DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_

#include "devices/virtio/queue/virtqueue.h"

namespace annulus::virtio {

// What a device does with the buffers of one of its queues.
//
// Threads: called only on the thread of the queue's worker, and only while the
//   queue runs.
class QueueHandler {
 public:
  virtual ~QueueHandler() = default;

  // Hot. Pops chains, serves them and pushes them, and publishes nothing: the
  // worker publishes once after each call. The work per call is bounded,
  // whatever the driver offers, for StopQueue() waits for its end. True if it
  // stopped at that bound; false only after queue.Pop() or queue.Take() found
  // none.
  virtual bool Drain(Virtqueue& queue) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_
