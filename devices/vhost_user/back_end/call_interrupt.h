#ifndef DEVICES_VHOST_USER_BACK_END_CALL_INTERRUPT_H_
#define DEVICES_VHOST_USER_BACK_END_CALL_INTERRUPT_H_

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/shared_event_signal.h"
#include "base/unique_fd.h"
#include "devices/interrupt.h"

namespace annulus::vhost_user {

// The eventfd by which a back-end tells its front-end of something about one
// vring: VHOST_USER_SET_VRING_CALL or VHOST_USER_SET_VRING_ERR. It may be
// replaced at any time, also while the queue's worker uses it.
//
// Threads: Trigger() from any thread; the rest on one.
// Trust: the descriptor is the front-end's, which can make it blocking again
//   and fill its counter up. Trigger() never waits: see SharedEventSignal.
// Allocation: none but in Create().
class CallInterrupt final : public Interrupt {
 public:
  // Connected to nothing. `signal` outlives it. Fails where the host refuses a
  // descriptor.
  static absl::StatusOr<std::unique_ptr<CallInterrupt>> Create(
      const SharedEventSignal& signal);

  // One of AsEventDescriptor(), instead of that of before. An earlier trigger
  // may have gone to the other.
  absl::Status Connect(const UniqueFd& fd);
  // "This signals that polling will be used instead of waiting for the call."
  void Disconnect() { connected_.store(false, std::memory_order_relaxed); }

  void Trigger() override;

 private:
  CallInterrupt(const SharedEventSignal& signal, EventFd fd)
      : signal_(signal), fd_(std::move(fd)) {}

  const SharedEventSignal& signal_;

  // The number is constant: whoever writes to it never meets a closed one, nor
  // what else was opened meanwhile. What is behind it changes.
  const EventFd fd_;
  // Relaxed: guards no other memory. A trigger that meets Disconnect() half way
  // goes to who was connected.
  std::atomic<bool> connected_{false};
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_CALL_INTERRUPT_H_
