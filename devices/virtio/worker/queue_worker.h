#ifndef DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_
#define DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/counter.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/thread.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

struct QueueWorkerOptions {
  std::string name;  // Of the thread and in log lines, such as "rng0/q0".
  // How long to look for further work before sleeping. 0: not at all.
  absl::Duration poll_duration = absl::ZeroDuration();
};

// The thread of one virtqueue that carries data. It owns the queue from Start()
// to Stop(): drains it, publishes, notifies the driver, and sleeps until what
// its handler waits for happens. Nobody else touches the queue or its
// notification eventfd meanwhile.
//
// A queue whose driver breaks the rules stops: DEVICE_NEEDS_RESET, a counter,
// one rate-limited log line. Other queues have other workers.
//
// Threads: Start(), Stop() and the destructor are serialized by the caller;
//   Wake() and the counters from any thread.
// Allocation: none after Create(), except for the text of a log line.
class QueueWorker {
 public:
  // Starts the thread, which sleeps until Start(). `handler` and `log` outlive
  // the worker. Fails where the host refuses a thread or a descriptor.
  static absl::StatusOr<std::unique_ptr<QueueWorker>> Create(
      const QueueWorkerOptions& options, QueueHandler& handler, LogSink& log);

  QueueWorker(const QueueWorker&) = delete;
  QueueWorker& operator=(const QueueWorker&) = delete;
  ~QueueWorker();  // Stops the queue and joins the thread.

  // Hands the queue over. An unusable configuration is the driver's violation,
  // and leaves the queue stopped. All in `resources` outlives Stop().
  void Start(const QueueResources& resources);

  // Takes the queue back: afterwards the thread touches neither the queue nor
  // guest memory nor the interrupt. Waits for at most one Drain(). A no-op for
  // a queue that does not run.
  void Stop();

  // Any thread: ends the handler's wait, if it waits; it is then drained again.
  void Wake() { control_.Signal(); }

  // How many queues of this worker were stopped by a violation.
  uint64_t violations() const {
    return violations_.load(std::memory_order_relaxed);
  }

  // How many available buffer notifications the driver sent.
  uint64_t notifications() const { return notifications_.value(); }

 private:
  struct Assignment {
    Virtqueue queue;
    const EventFd* notification;  // Not owned, as all of these.
    Interrupt* interrupt;
    DeviceHost* host;
    int64_t notification_delay = 0;           // Nanoseconds, as the next.
    int64_t notify_at = QueueWait::kForever;  // If a decision is due by then.
  };

  // Exposed buffers after which the driver is not left waiting: it may have no
  // free descriptors.
  static constexpr uint32_t kMostUndecided = 32;

  QueueWorker(const QueueWorkerOptions& options, QueueHandler& handler,
              LogSink& log, EventFd control);

  void ThreadMain();
  void Run(Assignment& assignment);
  void NotifyIfDue(Assignment& assignment);
  bool PollForWork(const Virtqueue& queue, QueueWait& wait) const;
  void Sleep(const Assignment& assignment, QueueWait& wait, bool& deaf);
  ABSL_ATTRIBUTE_COLD void ReportViolation(const absl::Status& status,
                                           DeviceHost& host);

  // Constant after construction.
  const std::string name_;
  const int64_t poll_ns_;
  QueueHandler& handler_;
  LogSink& log_;
  const EventFd control_;  // Wakes the thread from its sleep on the queue.

  // Thread-safe.
  RateLimiter log_limiter_;
  std::atomic<uint64_t> violations_{0};
  Counter notifications_;
  std::atomic<bool> stop_{false};  // Asks the thread to let go of the queue.

  Mutex mu_;
  CondVar changed_;
  bool running_ ABSL_GUARDED_BY(mu_) = false;  // The thread has a queue.
  bool exit_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<Assignment> offered_ ABSL_GUARDED_BY(mu_);

  Thread thread_;  // Last: the thread uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_QUEUE_WORKER_H_
