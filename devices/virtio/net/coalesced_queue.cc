#include "devices/virtio/net/coalesced_queue.h"

#include <algorithm>

#include "base/clock.h"

namespace annulus::virtio {

void CoalescedQueue::QueueStarted(Virtqueue& queue) {
  pending_ = false;
  notified_frames_ = counters_.frames.value();
  queue_.QueueStarted(queue);
}

void CoalescedQueue::QueueStopped() { queue_.QueueStopped(); }

// Hot.
bool CoalescedQueue::Drain(Virtqueue& queue) {
  if (pending_ && MonotonicNanoseconds() >= deadline_ns_) Notify();
  return queue_.Drain(queue);
}

QueueWait CoalescedQueue::Wait() {
  QueueWait wait = queue_.Wait();
  if (pending_) wait.deadline_ns = std::min(wait.deadline_ns, deadline_ns_);
  return wait;
}

// Hot.
void CoalescedQueue::Trigger() {
  const Coalescing coalescing = table_.Of(vq_);
  if (!coalescing.coalesces() ||
      counters_.frames.value() - notified_frames_ >= coalescing.max_packets) {
    Notify();
    return;
  }
  if (pending_) return;
  pending_ = true;
  deadline_ns_ = MonotonicNanoseconds() + int64_t{coalescing.max_usecs} * 1000;
}

void CoalescedQueue::Notify() {
  pending_ = false;
  notified_frames_ = counters_.frames.value();
  counters_.interrupts.Add(1);
  interrupt_->Trigger();
}

}  // namespace annulus::virtio
