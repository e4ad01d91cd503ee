#include "devices/virtio/worker/queue_worker.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <iterator>
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
  handler_.QueueStarted(queue);
  assignment.notification_delay = handler_.NotificationDelay();
  while (!stop_.load(std::memory_order_acquire)) {
    const bool more = handler_.Drain(queue);
    NotifyIfDue(assignment);
    if (!queue.ok()) {
      ReportViolation(queue.status(), *assignment.host);
      break;
    }
    if (more) continue;
    QueueWait wait = handler_.Wait();
    wait.deadline_ns = std::min(wait.deadline_ns, assignment.notify_at);
    if (PollForWork(queue, wait)) continue;
    if (!wait.buffers) {
      Sleep(assignment, wait, deaf);
      continue;
    }
    if (!queue.EnableNotifications()) Sleep(assignment, wait, deaf);
    queue.DisableNotifications();
  }
  if (queue.undecided() != 0 && queue.ok() && queue.Publish()) {
    assignment.interrupt->Trigger();
  }
  handler_.QueueStopped();
}

// Shows the driver what it was given back, and tells it so, if it wants that:
// now, or when the handler's delay is over.
void QueueWorker::NotifyIfDue(Assignment& assignment) {
  Virtqueue& queue = assignment.queue;
  if (assignment.notification_delay != 0) {
    queue.Expose();
    if (queue.undecided() == 0) return;
    if (queue.undecided() < kMostUndecided) {
      const int64_t now = MonotonicNanoseconds();
      if (assignment.notify_at == QueueWait::kForever) {
        assignment.notify_at = now + assignment.notification_delay;
      }
      if (now < assignment.notify_at) return;
    }
    assignment.notify_at = QueueWait::kForever;
  }
  if (queue.Publish()) assignment.interrupt->Trigger();
}

// True if it saw work before the time for looking was over.
bool QueueWorker::PollForWork(const Virtqueue& queue, QueueWait& wait) const {
  if (poll_ns_ <= 0) return false;
  int64_t now = MonotonicNanoseconds();
  const int64_t end = now + poll_ns_;
  do {
    if (now >= wait.deadline_ns) return true;
    if (wait.buffers && queue.HasAvailable()) return true;
    if (wait.waits_for_fds() &&
        ::poll(wait.fds.data(), wait.fds.size(), 0) > 0) {
      return true;
    }
    if (stop_.load(std::memory_order_relaxed)) return false;
    // Who else wants this processor, a vCPU for instance, is to have it.
    ::sched_yield();
    now = MonotonicNanoseconds();
  } while (now < end);
  return false;
}

// Sleeps until what the handler waits for happens, or Stop(). An early return
// is harmless: there is then nothing to do.
void QueueWorker::Sleep(const Assignment& assignment, QueueWait& wait,
                        bool& deaf) {
  timespec timeout = {};
  const timespec* limit = nullptr;
  if (wait.deadline_ns != QueueWait::kForever) {
    const int64_t left = wait.deadline_ns - MonotonicNanoseconds();
    if (left <= 0) return;
    timeout.tv_sec = left / 1'000'000'000;
    timeout.tv_nsec = left % 1'000'000'000;
    limit = &timeout;
  }
  // A negative descriptor is one that ppoll() leaves out.
  const bool listen = wait.buffers && !deaf;
  pollfd fds[] = {{.fd = control_.fd(), .events = POLLIN, .revents = 0},
                  {.fd = listen ? assignment.notification->fd() : -1,
                   .events = POLLIN,
                   .revents = 0},
                  wait.fds[0],
                  wait.fds[1]};
  if (::ppoll(fds, std::size(fds), limit, nullptr) <= 0) return;
  // Of Wake(). Where it is Stop()'s, stop_ says so, which was set before.
  if (fds[0].revents != 0) (void)control_.Drain();
  if ((fds[1].revents & POLLIN) != 0) {
    notifications_.Add(assignment.notification->Drain());
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
