#ifndef DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_
#define DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/counter.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/thread.h"
#include "base/thread_setup.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/worker/poll_window.h"
#include "devices/virtio/worker/polling_thread.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/worker_policy.h"

namespace annulus::virtio {

struct QueueWorkerOptions {
  std::string name;  // Of the thread and in log lines, such as "rng0/q0".
  WorkerPolicy policy = {};
  size_t index = 0;  // Of the queue in its device: which of the policy's CPUs.
  ThreadKind kind = ThreadKind::kQueue;
  // Poll::kAlways: whose turns the queue takes part in, as PollingThreads says;
  // null: of a thread of its own.
  std::shared_ptr<PollingThread> polling = nullptr;
};

// The thread of one virtqueue that carries data. It owns the queue from Start()
// to Stop(): drains it, publishes, notifies the driver, and sleeps until what
// its handler waits for happens. Nobody else touches the queue or its
// notification eventfd meanwhile. By Poll::kAlways it is a PollingThread, which
// may be that of several queues.
//
// While it looks for work the driver is asked for no notifications; before it
// sleeps it is, and the queue looked at once more.
//
// A queue whose driver breaks the rules stops: DEVICE_NEEDS_RESET, a counter,
// one rate-limited log line. Other queues have other workers, and a thread that
// they share goes on with them.
//
// Threads: Start(), Stop() and the destructor are serialized by the caller;
//   Wake() and the counters from any thread.
// Allocation: none after Create(), except for the text of a log line.
class QueueWorker final : private PollingThread::Member {
 public:
  // Starts the thread, which sleeps until Start(). `handler` and `log` outlive
  // the worker. Fails where the host refuses a thread or a descriptor, or has
  // no CPU of the number that the policy says.
  static absl::StatusOr<std::unique_ptr<QueueWorker>> Create(
      const QueueWorkerOptions& options, QueueHandler& handler, LogSink& log);

  QueueWorker(const QueueWorker&) = delete;
  QueueWorker& operator=(const QueueWorker&) = delete;
  // Stops the queue and joins the thread, if that is its own.
  ~QueueWorker() override;

  // Hands the queue over. An unusable configuration is the driver's violation,
  // and leaves the queue stopped. All in `resources` outlives Stop().
  void Start(const QueueResources& resources);

  // Takes the queue back: afterwards the thread touches neither the queue nor
  // guest memory nor the interrupt. Waits for at most one Drain() of each queue
  // of the thread. A no-op for a queue that does not run. Returns where to go
  // on, if there was a queue since the last call.
  std::optional<QueueState> Stop();

  // Any thread: ends the handler's wait, if it waits; it is then drained again.
  void Wake();

  // How many queues of this worker were stopped by a violation.
  uint64_t violations() const {
    return violations_.load(std::memory_order_relaxed);
  }

  // How many available buffer notifications the driver sent.
  uint64_t notifications() const { return notifications_.value(); }

  // How often the thread went to sleep while it had a queue.
  uint64_t sleeps() const {
    return polling_ != nullptr ? polling_->sleeps() : sleeps_.value();
  }

 private:
  struct Assignment {
    Virtqueue queue;
    const EventFd* notification;  // Not owned, as all of these.
    Interrupt* interrupt;
    DeviceHost* host;
    std::unique_ptr<InflightNotes> inflight;  // The queue's; null: none.
    int64_t notification_delay = 0;           // Nanoseconds, as the next.
    int64_t notify_at = QueueWait::kForever;  // If a decision is due by then.
    uint32_t busy_batches = 0;                // That did not look at the clock.
    bool deaf = false;  // The notification descriptor is broken.
  };

  // Exposed buffers after which the driver is not left waiting: it may have no
  // free descriptors.
  static constexpr uint32_t kMostUndecided = 32;
  // Batches of a busy queue per look at the clock.
  static constexpr uint32_t kBatchesPerClock = 4;
  // Whoever is away from the processor for longer had to share it.
  static constexpr int64_t kSharedNs = 10'000;

  QueueWorker(const QueueWorkerOptions& options, QueueHandler& handler,
              LogSink& log, EventFd control);

  // PollingThread::Member
  void Enter() override;
  PollingThread::Found Look() override;
  void Leave() override;

  void ThreadMain();
  void Run(Assignment& assignment);
  void Begin(Assignment& assignment);
  bool Serve(Assignment& assignment);
  QueueState Finish(Assignment& assignment);
  void NotifyIfDue(Assignment& assignment, bool busy);
  QueueWait WaitOf(const Assignment& assignment);
  void Idle(Assignment& assignment);
  bool PollForWork(const Virtqueue& queue, QueueWait& wait, int64_t start);
  void SleepUnlessAvailable(Assignment& assignment, QueueWait& wait);
  void Sleep(Assignment& assignment, QueueWait& wait);
  ABSL_ATTRIBUTE_COLD void ReportViolation(const absl::Status& status,
                                           DeviceHost& host);

  // Constant after construction.
  const std::string name_;
  QueueHandler& handler_;
  LogSink& log_;
  const EventFd control_;  // Wakes the thread from its sleep on the queue.

  // Thread-safe.
  RateLimiter log_limiter_;
  std::atomic<uint64_t> violations_{0};
  Counter notifications_;
  Counter sleeps_;
  std::atomic<bool> stop_{false};   // Asks the thread to let go of the queue.
  std::atomic<bool> woken_{false};  // Polled: by Wake(), which no Look() saw.

  // The thread's.
  PollWindow window_;
  std::optional<Assignment> polled_;  // Polled: the queue, while it runs.
  bool resting_ = false;  // Polled: it waits for nothing but Wake().

  Mutex mu_;
  CondVar changed_;
  bool running_ ABSL_GUARDED_BY(mu_) = false;  // The thread has a queue.
  bool exit_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<Assignment> offered_ ABSL_GUARDED_BY(mu_);
  std::optional<QueueState> stopped_ ABSL_GUARDED_BY(mu_);  // For Stop().

  // One of the two. Last: the thread uses all of the above.
  std::shared_ptr<PollingThread> polling_;
  Thread thread_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_
