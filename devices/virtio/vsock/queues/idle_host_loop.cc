#include "devices/virtio/vsock/queues/idle_host_loop.h"

#include <poll.h>

#include <cstdint>
#include <ctime>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<IdleHostLoop>> IdleHostLoop::Create(
    const std::string& name, Muxer& muxer, Turn& turn) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  std::unique_ptr<IdleHostLoop> loop(
      new IdleHostLoop(muxer, turn, std::move(wake)));
  ANNULUS_ASSIGN_OR_RETURN(loop->thread_,
                           Thread::Start(
                               name, [l = loop.get()] { l->ThreadMain(); },
                               ThreadKind::kSocketQueue));
  return loop;
}

IdleHostLoop::~IdleHostLoop() {
  {
    MutexLock lock(mu_);
    exit_ = true;
    changed_.NotifyAll();
  }
  wake_.Signal();
  thread_.Join();
}

void IdleHostLoop::Pause() {
  MutexLock lock(mu_);
  paused_ = true;
}

void IdleHostLoop::Resume() {
  MutexLock lock(mu_);
  paused_ = false;
  changed_.NotifyAll();
  // It may still sleep as of before Pause(), until a deadline of that time.
  wake_.Signal();
}

void IdleHostLoop::ThreadMain() {
  while (AwaitWork()) RunOnce();
}

// False: the thread is to end.
bool IdleHostLoop::AwaitWork() {
  MutexLock lock(mu_);
  while (paused_ && !exit_) changed_.Wait(mu_);
  return !exit_;
}

void IdleHostLoop::RunOnce() {
  int64_t deadline_ns;
  pollfd fds[] = {{.fd = wake_.fd(), .events = POLLIN, .revents = 0},
                  {.fd = -1, .events = POLLIN, .revents = 0}};
  {
    const Turn::Work turn(turn_);
    {
      // Who has paused it since then runs the loop from its next turn on.
      MutexLock lock(mu_);
      if (paused_ || exit_) return;
    }
    muxer_.PollHost(MonotonicNanoseconds());
    deadline_ns = muxer_.deadline_ns();
    fds[1].fd = muxer_.fd();
  }
  timespec timeout = {};
  if (deadline_ns != QueueWait::kForever) {
    const int64_t left = deadline_ns - MonotonicNanoseconds();
    if (left <= 0) return;
    timeout.tv_sec = left / 1'000'000'000;
    timeout.tv_nsec = left % 1'000'000'000;
  }
  (void)::ppoll(fds, std::size(fds),
                deadline_ns == QueueWait::kForever ? nullptr : &timeout,
                nullptr);
  if (fds[0].revents != 0) (void)wake_.Drain();
}

}  // namespace annulus::virtio
