#include "devices/virtio/worker/queue_worker.h"

#include <poll.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace annulus::virtio {
namespace {

// Log lines that one queue can cause: a guest may reset and break it forever.
constexpr uint32_t kLogBurst = 10;
constexpr absl::Duration kLogInterval = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<QueueWorker>> QueueWorker::Create(
    const QueueWorkerOptions& options, QueueHandler& handler, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd control, EventFd::Create());
  std::unique_ptr<QueueWorker> worker(
      new QueueWorker(options, handler, log, std::move(control)));
  ANNULUS_ASSIGN_OR_RETURN(
      worker->thread_,
      Thread::Start(options.name, [w = worker.get()] { w->ThreadMain(); }));
  return worker;
}

QueueWorker::QueueWorker(const QueueWorkerOptions& options,
                         QueueHandler& handler, LogSink& log, EventFd control)
    : name_(options.name),
      poll_ns_(absl::ToInt64Nanoseconds(options.poll_duration)),
      handler_(handler),
      log_(log),
      control_(std::move(control)),
      log_limiter_(kLogBurst, kLogInterval) {}

QueueWorker::~QueueWorker() {
  Stop();
  {
    MutexLock lock(mu_);
    exit_ = true;
    changed_.NotifyAll();
  }
  thread_.Join();
}

void QueueWorker::Start(const QueueResources& resources) {
  Stop();
  absl::StatusOr<Virtqueue> queue =
      Virtqueue::Create(*resources.memory, resources.config);
  if (!queue.ok()) {
    ReportViolation(queue.status(), *resources.host);
    return;
  }
  MutexLock lock(mu_);
  offered_.emplace(Assignment{.queue = *std::move(queue),
                              .notification = resources.notification,
                              .interrupt = resources.interrupt,
                              .host = resources.host});
  running_ = true;
  changed_.NotifyAll();
}

void QueueWorker::Stop() {
  MutexLock lock(mu_);
  if (!running_) return;
  // Release: pairs with the acquire in Run(). The mutex would do, but the
  // thread does not take it per batch.
  stop_.store(true, std::memory_order_release);
  control_.Signal();
  while (running_) changed_.Wait(mu_);
  stop_.store(false, std::memory_order_relaxed);
  control_.Drain();
}

void QueueWorker::ThreadMain() {
  while (true) {
    std::optional<Assignment> assignment;
    {
      MutexLock lock(mu_);
      while (!offered_.has_value() && !exit_) changed_.Wait(mu_);
      if (exit_) return;
      assignment.swap(offered_);
    }
    Run(*assignment);
    assignment.reset();
    MutexLock lock(mu_);
    running_ = false;
    changed_.NotifyAll();
  }
}

void QueueWorker::Run(Assignment& assignment) {
  Virtqueue& queue = assignment.queue;
  bool deaf = false;
  queue.DisableNotifications();
  while (!stop_.load(std::memory_order_acquire)) {
    const bool more = handler_.Drain(queue);
    if (queue.Publish()) assignment.interrupt->Trigger();
    if (!queue.ok()) {
      ReportViolation(queue.status(), *assignment.host);
      return;
    }
    if (more || PollForBuffers(queue)) continue;
    if (!queue.EnableNotifications()) WaitForNotification(assignment, deaf);
    queue.DisableNotifications();
  }
}

bool QueueWorker::PollForBuffers(const Virtqueue& queue) const {
  if (poll_ns_ <= 0) return false;
  const int64_t end = MonotonicNanoseconds() + poll_ns_;
  do {
    if (queue.HasAvailable()) return true;
    if (stop_.load(std::memory_order_relaxed)) return false;
  } while (MonotonicNanoseconds() < end);
  return false;
}

// Sleeps until the driver or Stop() signals. An early return is harmless: the
// queue is then found empty.
void QueueWorker::WaitForNotification(const Assignment& assignment,
                                      bool& deaf) const {
  // A negative descriptor is one that poll() leaves out.
  pollfd fds[] = {{.fd = control_.fd(), .events = POLLIN, .revents = 0},
                  {.fd = deaf ? -1 : assignment.notification->fd(),
                   .events = POLLIN,
                   .revents = 0}};
  if (::poll(fds, 2, -1) <= 0) return;
  if ((fds[1].revents & POLLIN) != 0) {
    assignment.notification->Drain();
  } else if (fds[1].revents != 0) {
    deaf = true;  // Broken for good; polling it again would spin.
  }
}

void QueueWorker::ReportViolation(const absl::Status& status,
                                  DeviceHost& host) {
  violations_.fetch_add(1, std::memory_order_relaxed);
  host.NeedsReset();
  if (log_limiter_.Allow(MonotonicNanoseconds())) {
    log_.Log(LogSeverity::kWarning,
             absl::StrCat(name_, ": queue stopped: ", status.message()));
  }
}

}  // namespace annulus::virtio
