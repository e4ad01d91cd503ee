#include "devices/virtio/worker/queue_worker.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/worker/pin_worker.h"

namespace annulus::virtio {
namespace {

// 0 where it is of no use.
int64_t LongestPoll(const WorkerPolicy& policy) {
  if (policy.poll != WorkerPolicy::Poll::kAdaptive) return 0;
  return absl::ToInt64Nanoseconds(policy.poll_duration);
}

// Log lines that one queue can cause: a guest may reset and break it forever.
constexpr uint32_t kLogBurst = 10;
constexpr absl::Duration kLogInterval = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<QueueWorker>> QueueWorker::Create(
    const QueueWorkerOptions& options, QueueHandler& handler, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd control, EventFd::Create());
  std::unique_ptr<QueueWorker> worker(
      new QueueWorker(options, handler, log, std::move(control)));
  const std::optional<int> cpu = options.policy.CpuOf(options.index);
  if (options.policy.poll == WorkerPolicy::Poll::kAlways) {
    worker->polling_ = options.polling;
    if (worker->polling_ == nullptr) {
      ANNULUS_ASSIGN_OR_RETURN(
          worker->polling_,
          PollingThread::Create(options.name, cpu, options.kind));
    }
    return worker;
  }
  ANNULUS_ASSIGN_OR_RETURN(
      worker->thread_,
      Thread::Start(
          options.name, [w = worker.get()] { w->ThreadMain(); }, options.kind));
  ANNULUS_RETURN_IF_ERROR(PinWorker(worker->thread_, options.name, cpu));
  return worker;
}

QueueWorker::QueueWorker(const QueueWorkerOptions& options,
                         QueueHandler& handler, LogSink& log, EventFd control)
    : name_(options.name),
      handler_(handler),
      log_(log),
      control_(std::move(control)),
      log_limiter_(kLogBurst, kLogInterval),
      window_(LongestPoll(options.policy)) {}

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
      resources.resume.has_value()
          ? Virtqueue::Create(*resources.memory, resources.config,
                              *resources.resume)
          : Virtqueue::Create(*resources.memory, resources.config);
  if (!queue.ok()) {
    ReportViolation(queue.status(), *resources.host);
    return;
  }
  std::unique_ptr<InflightNotes> inflight;
  if (!resources.inflight.empty()) {
    inflight = std::make_unique<InflightNotes>();
    const absl::Status status =
        queue->NoteInflight(resources.inflight, *inflight);
    if (!status.ok()) {
      ReportViolation(status, *resources.host);
      return;
    }
  }
  {
    MutexLock lock(mu_);
    offered_.emplace(Assignment{.queue = *std::move(queue),
                                .notification = resources.notification,
                                .interrupt = resources.interrupt,
                                .host = resources.host,
                                .inflight = std::move(inflight)});
    running_ = true;
    changed_.NotifyAll();
  }
  if (polling_ != nullptr) polling_->Add(*this);
}

std::optional<QueueState> QueueWorker::Stop() {
  if (polling_ != nullptr) polling_->Remove(*this);
  MutexLock lock(mu_);
  if (!running_) return std::exchange(stopped_, std::nullopt);
  // Release: pairs with the acquire in Run(). The mutex would do, but the
  // thread does not take it per batch.
  stop_.store(true, std::memory_order_release);
  control_.Signal();
  while (running_) changed_.Wait(mu_);
  stop_.store(false, std::memory_order_relaxed);
  control_.Drain();
  return std::exchange(stopped_, std::nullopt);
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
    const QueueState state = Finish(*assignment);
    assignment.reset();
    MutexLock lock(mu_);
    stopped_ = state;
    running_ = false;
    changed_.NotifyAll();
  }
}

void QueueWorker::Run(Assignment& assignment) {
  Begin(assignment);
  // Acquire: pairs with the release in Stop().
  while (!stop_.load(std::memory_order_acquire)) {
    const bool more = Serve(assignment);
    if (!assignment.queue.ok()) return;
    if (!more) Idle(assignment);
  }
}

void QueueWorker::Enter() {
  {
    MutexLock lock(mu_);
    polled_.swap(offered_);
  }
  resting_ = false;
  Begin(*polled_);
}

// Hot.
PollingThread::Found QueueWorker::Look() {
  // Relaxed: a look, to leave the line alone while there is nothing.
  if (woken_.load(std::memory_order_relaxed)) {
    // Acquire: pairs with the release in Wake(). An exchange: a Wake() that it
    // does not see comes after it, and is left for the next Look().
    woken_.exchange(false, std::memory_order_acq_rel);
  } else if (resting_) {
    return PollingThread::Found::kRest;
  }
  const bool more = Serve(*polled_);
  if (!polled_->queue.ok()) return PollingThread::Found::kOver;
  resting_ = false;
  if (more) return PollingThread::Found::kWork;
  // To let the handler look again is the quickest way to find out about all
  // that it waits for, but for what no look would show.
  const QueueWait wait = WaitOf(*polled_);
  resting_ = !wait.buffers && !wait.waits_for_fds() &&
             wait.deadline_ns == QueueWait::kForever;
  return resting_ ? PollingThread::Found::kRest
                  : PollingThread::Found::kNothing;
}

void QueueWorker::Leave() {
  const QueueState state = Finish(*polled_);
  polled_.reset();
  MutexLock lock(mu_);
  stopped_ = state;
  running_ = false;
}

void QueueWorker::Wake() {
  if (polling_ == nullptr) {
    control_.Signal();
    return;
  }
  // Release: pairs with the acquire in Look(). Before the signal, after which a
  // thread that sleeps looks.
  woken_.store(true, std::memory_order_release);
  polling_->Wake();
}

void QueueWorker::Begin(Assignment& assignment) {
  assignment.queue.DisableNotifications();
  handler_.QueueStarted(assignment.queue);
  assignment.notification_delay = handler_.NotificationDelay();
}

// Hot. True if there is more to do, unless the queue is broken.
bool QueueWorker::Serve(Assignment& assignment) {
  const bool more = handler_.Drain(assignment.queue);
  NotifyIfDue(assignment, more);
  if (ABSL_PREDICT_FALSE(!assignment.queue.ok())) {
    ReportViolation(assignment.queue.status(), *assignment.host);
  }
  return more;
}

// Returns where to go on.
QueueState QueueWorker::Finish(Assignment& assignment) {
  Virtqueue& queue = assignment.queue;
  if (queue.undecided() != 0 && queue.ok() && queue.Publish()) {
    assignment.interrupt->Trigger();
  }
  handler_.QueueStopped();
  return queue.SaveRewound();
}

// Shows the driver what it was given back, and tells it so, if it wants that:
// now, or when the handler's delay is over.
void QueueWorker::NotifyIfDue(Assignment& assignment, bool busy) {
  Virtqueue& queue = assignment.queue;
  if (assignment.notification_delay != 0) {
    queue.Expose();
    if (queue.undecided() == 0) return;
    if (queue.undecided() < kMostUndecided) {
      if (busy && ++assignment.busy_batches % kBatchesPerClock != 0) return;
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

// What there is to wait for, of the handler and for the driver's notification.
QueueWait QueueWorker::WaitOf(const Assignment& assignment) {
  QueueWait wait = handler_.Wait();
  wait.deadline_ns = std::min(wait.deadline_ns, assignment.notify_at);
  return wait;
}

// There was nothing to do: returns when there may be something, or Stop() was
// called. An early return is harmless.
void QueueWorker::Idle(Assignment& assignment) {
  QueueWait wait = WaitOf(assignment);
  if (!window_.can_open()) {
    SleepUnlessAvailable(assignment, wait);
    return;
  }
  const int64_t start = MonotonicNanoseconds();
  if (!PollForWork(assignment.queue, wait, start)) {
    SleepUnlessAvailable(assignment, wait);
  }
  window_.WorkCame(MonotonicNanoseconds() - start);
}

// True if it saw work before the time for looking was over.
bool QueueWorker::PollForWork(const Virtqueue& queue, QueueWait& wait,
                              int64_t start) {
  const int64_t end = start + window_.length();
  for (int64_t now = start; now < end;) {
    if (now >= wait.deadline_ns) return true;
    if (wait.buffers && queue.HasAvailable()) return true;
    if (wait.waits_for_fds() &&
        ::poll(wait.fds.data(), wait.fds.size(), 0) > 0) {
      return true;
    }
    if (stop_.load(std::memory_order_relaxed)) return false;
    // Who else wants this processor, a vCPU for instance, is to have it.
    ::sched_yield();
    const int64_t before = now;
    now = MonotonicNanoseconds();
    if (now - before < kSharedNs) continue;
    if (wait.buffers && queue.HasAvailable()) return true;
    window_.Contended();
    return false;
  }
  return false;
}

// Asks the driver for notifications if that is what to wait for, and sleeps.
void QueueWorker::SleepUnlessAvailable(Assignment& assignment,
                                       QueueWait& wait) {
  if (!wait.buffers) {
    Sleep(assignment, wait);
    return;
  }
  if (!assignment.queue.EnableNotifications()) Sleep(assignment, wait);
  assignment.queue.DisableNotifications();
}

// Sleeps until what the handler waits for happens, or Stop().
void QueueWorker::Sleep(Assignment& assignment, QueueWait& wait) {
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
  const bool listen = wait.buffers && !assignment.deaf;
  pollfd fds[] = {{.fd = control_.fd(), .events = POLLIN, .revents = 0},
                  {.fd = listen ? assignment.notification->fd() : -1,
                   .events = POLLIN,
                   .revents = 0},
                  wait.fds[0],
                  wait.fds[1]};
  sleeps_.Add(1);
  if (::ppoll(fds, std::size(fds), limit, nullptr) <= 0) return;
  // Of Wake(). Where it is Stop()'s, stop_ says so, which was set before.
  if (fds[0].revents != 0) (void)control_.Drain();
  if ((fds[1].revents & POLLIN) != 0) {
    notifications_.Add(assignment.notification->Drain());
  } else if (fds[1].revents != 0) {
    assignment.deaf = true;  // Broken for good; polling it again would spin.
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
