#ifndef DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_
#define DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_

#include <poll.h>

#include <array>
#include <cstdint>
#include <limits>

#include "devices/virtio/queue/virtqueue.h"

namespace annulus::virtio {

// What there is to wait for when a handler has nothing to do: any one of these
// ends the wait. An early end is harmless.
struct QueueWait {
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

  bool buffers = true;  // For the driver to make buffers available.
  // For one of these; an fd of -1 is left out.
  std::array<pollfd, 2> fds = {pollfd{-1, 0, 0}, pollfd{-1, 0, 0}};
  int64_t deadline_ns = kForever;  // For this time of base/clock.h.

  bool waits_for_fds() const { return fds[0].fd >= 0 || fds[1].fd >= 0; }
};

// What a device does with the buffers of one of its queues.
//
// Threads: called only on the thread of the queue's worker, and only while the
//   queue runs.
class QueueHandler {
 public:
  virtual ~QueueHandler() = default;

  // The queue begins to run. What the handler keeps about an earlier one is
  // void.
  virtual void QueueStarted(Virtqueue& /*queue*/) {}

  // Hot. Pops chains, serves them and pushes them, and publishes nothing: the
  // worker publishes once after each call. The work per call is bounded,
  // whatever the driver offers, for StopQueue() waits for its end. True if it
  // stopped at that bound; false if it found nothing more to do before what
  // Wait() names happens.
  virtual bool Drain(Virtqueue& queue) = 0;

  // Hot. Asked after Drain() returned false. A handler that does not wait for
  // buffers is not notified of them either.
  virtual QueueWait Wait() { return {}; }

  // How long the driver may be left without a used buffer notification, in
  // nanoseconds; the buffers themselves it sees at once. Asked when the queue
  // starts. For buffers that the driver does not wait for: by the time it is
  // asked whether it wants to know, it may have found them by itself.
  virtual int64_t NotificationDelay() const { return 0; }

  // The queue runs no more: its memory is out of bounds from now on.
  virtual void QueueStopped() {}
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_QUEUE_HANDLER_H_
