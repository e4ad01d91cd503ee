#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_TURN_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_TURN_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace annulus::virtio {

// What a thread that works all the time takes for each piece of its work, so
// that another, which wants to change what it works on, gets in between: a
// mutex that such a worker does not win over and over again.
//
//   worker:  Turn::Work work(turn);       // Per Drain(): one batch of packets.
//   other:   Turn::Interruption in(turn); // Rarely.
//
// Threads: all. One worker, or several that take turns; one interruption at a
//   time.
class ABSL_LOCKABLE Turn {
 public:
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // Holds the turn for the length of a scope.
  class ABSL_SCOPED_LOCKABLE Work {
   public:
    explicit Work(Turn& turn) ABSL_EXCLUSIVE_LOCK_FUNCTION(turn) : turn_(turn) {
      turn_.Begin();
    }
    ~Work() ABSL_UNLOCK_FUNCTION() { turn_.End(); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    Turn& turn_;
  };

  class ABSL_SCOPED_LOCKABLE Interruption {
   public:
    explicit Interruption(Turn& turn) ABSL_EXCLUSIVE_LOCK_FUNCTION(turn)
        : turn_(turn) {
      turn_.Interrupt();
    }
    ~Interruption() ABSL_UNLOCK_FUNCTION() { turn_.End(); }
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

   private:
    Turn& turn_;
  };

 private:
  // Relaxed, all of them: a worker that does not see the wish yet sees it at
  // its next turn; the mutex orders everything else.
  void Begin() ABSL_EXCLUSIVE_LOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mu_.Lock();
    while (wanted_.load(std::memory_order_relaxed)) granted_.Wait(mu_);
  }
  void Interrupt()
      ABSL_EXCLUSIVE_LOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    wanted_.store(true, std::memory_order_relaxed);
    mu_.Lock();
    wanted_.store(false, std::memory_order_relaxed);
    granted_.NotifyAll();
  }
  void End() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mu_.Unlock();
  }

  Mutex mu_;
  CondVar granted_;
  std::atomic<bool> wanted_{false};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_TURN_H_
