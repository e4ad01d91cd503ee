#include "devices/virtio/net/backend/frame_inbox.h"

namespace annulus::virtio {

void FrameInbox::Publish() {
  ring_.Publish();
  // Pairs with the fence in FrontOrArm(): whichever of the two comes second in
  // the one order of such fences sees what was stored before the other. Either
  // the reader sees the frame, or we see that it waits.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!waiting_.load(std::memory_order_relaxed)) return;
  readable_.Signal();
  // Release: pairs with the acquire in FrontOrArm(). After the signal, so that
  // the reader drains it before it waits anew; later, the signal would wake it
  // again and again.
  waiting_.store(false, std::memory_order_release);
}

absl::Span<const uint8_t> FrameInbox::FrontOrArm() {
  const absl::Span<const uint8_t> front = ring_.Front();
  // Acquire: pairs with the release in Publish(). Still true: each frame that
  // comes after the fence below meets it so, or its signal is there already.
  if (!front.empty() || polled_.load(std::memory_order_relaxed) ||
      waiting_.load(std::memory_order_acquire)) {
    return front;
  }
  (void)readable_.Drain();
  waiting_.store(true, std::memory_order_relaxed);
  // Pairs with the fence in Publish().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return ring_.Front();
}

}  // namespace annulus::virtio
