#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_DOORBELL_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_DOORBELL_H_

#include <atomic>
#include <utility>

#include "base/event_fd.h"

namespace annulus::virtio {

// An eventfd that is read only when somebody wrote to it, so that who looks
// after it often, and finds nothing, makes no system call.
//
// Threads: Ring() from any thread, Silence() on that of who waits for fd().
class Doorbell {
 public:
  explicit Doorbell(EventFd event) : event_(std::move(event)) {}

  int fd() const { return event_.fd(); }

  void Ring() {
    event_.Signal();
    // After the signal, so that whenever fd() is readable this is or becomes
    // true; else nobody would silence it. Release: pairs with Silence(): who
    // clears the flag also takes the signal.
    rung_.store(true, std::memory_order_release);
  }

  // fd() is not readable any more, unless somebody rings again.
  void Silence() {
    // Relaxed: a look; the exchange decides. Acquire: pairs with Ring().
    if (rung_.load(std::memory_order_relaxed) &&
        rung_.exchange(false, std::memory_order_acquire)) {
      event_.Drain();
    }
  }

 private:
  const EventFd event_;
  std::atomic<bool> rung_{false};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_DOORBELL_H_
