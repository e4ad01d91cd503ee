#include "devices/virtio/vsock/queues/receive_queue.h"

#include <poll.h>

#include "base/clock.h"

namespace annulus::virtio {

void VsockReceiveQueue::QueueStarted(Virtqueue& queue) {
  around_.host_loop.Pause();
  sink_.Start(queue, mergeable_);
  stalls_ = false;
  if (around_.port == nullptr) return;
  const Turn::Work turn(around_.turn);
  around_.port->Listen();
}

void VsockReceiveQueue::QueueStopped() {
  sink_.Stop();
  around_.host_loop.Resume();
  if (around_.port == nullptr) return;
  const Turn::Work turn(around_.turn);
  around_.port->StopListening();
}

// Hot.
bool VsockReceiveQueue::Drain(Virtqueue& /*queue*/) {
  const Turn::Work turn(around_.turn);
  around_.muxer.PollHost(MonotonicNanoseconds());
  if (around_.port != nullptr) around_.port->Poll();
  Found found;
  const bool open = around_.gate.open();
  if (open) Deliver(found);
  const bool stalls = found.host_stalls || found.port_stalls;
  if (stalls && !stalls_) around_.counters.buffer_stalls.Add(1);
  stalls_ = stalls;
  wait_ = {.buffers = stalls,
           .fds = {pollfd{around_.muxer.fd(), POLLIN, 0}, pollfd{-1, 0, 0}},
           .deadline_ns = around_.muxer.deadline_ns()};
  // What goes to other processes is flushed by Poll(), also while there is no
  // buffer for what comes; packets that have arrived and were not looked at
  // would make it readable for ever.
  if (around_.port != nullptr && open) {
    wait_.fds[1] = {around_.port->fd(), POLLIN, 0};
  }
  // With buffers used, the driver is to see these before more are awaited.
  return found.more && !stalls;
}

void VsockReceiveQueue::DeliverHost(Found& found) {
  switch (around_.muxer.Deliver(sink_)) {
    case Muxer::Delivered::kAll:
      break;
    case Muxer::Delivered::kMore:
      found.more = true;
      break;
    case Muxer::Delivered::kNoRoom:
      found.host_stalls = true;
      break;
  }
}

void VsockReceiveQueue::DeliverPort(Found& found) {
  found.port_stalls = around_.port != nullptr && !around_.port->Deliver(sink_);
}

// Who comes first may find the last buffers.
void VsockReceiveQueue::Deliver(Found& found) {
  if (port_first_) {
    DeliverPort(found);
    DeliverHost(found);
  } else {
    DeliverHost(found);
    DeliverPort(found);
  }
  port_first_ = !port_first_;
}

}  // namespace annulus::virtio
