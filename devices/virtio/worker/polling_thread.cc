#include "devices/virtio/worker/polling_thread.h"

#include <emmintrin.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/worker/pin_worker.h"

namespace annulus::virtio {
namespace {

bool Has(const std::vector<PollingThread::Member*>& members,
         const PollingThread::Member* member) {
  return std::find(members.begin(), members.end(), member) != members.end();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PollingThread>> PollingThread::Create(
    const std::string& name, std::optional<int> cpu, ThreadKind kind) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd control, EventFd::Create());
  std::unique_ptr<PollingThread> polling(new PollingThread(std::move(control)));
  ANNULUS_ASSIGN_OR_RETURN(
      polling->thread_,
      Thread::Start(
          name, [p = polling.get()] { p->ThreadMain(); }, kind));
  ANNULUS_RETURN_IF_ERROR(PinWorker(polling->thread_, name, cpu));
  return polling;
}

PollingThread::~PollingThread() {
  {
    MutexLock lock(mu_);
    ANNULUS_DCHECK(wanted_.empty());
    exit_ = true;
    // Release: as in AwaitAdoption().
    changed_.store(true, std::memory_order_release);
  }
  control_.Signal();
  thread_.Join();
}

void PollingThread::Add(Member& member) {
  MutexLock lock(mu_);
  ANNULUS_DCHECK(!Has(wanted_, &member));
  wanted_.push_back(&member);
  AwaitAdoption();
}

void PollingThread::Remove(Member& member) {
  MutexLock lock(mu_);
  const auto at = std::find(wanted_.begin(), wanted_.end(), &member);
  if (at == wanted_.end()) return;
  wanted_.erase(at);
  AwaitAdoption();
}

// Waits until the thread goes by wanted_ as it is now.
void PollingThread::AwaitAdoption() {
  const uint64_t change = ++changes_;
  // Release: pairs with the acquire in ThreadMain(). The mutex would do, but
  // the thread does not take it per turn.
  changed_.store(true, std::memory_order_release);
  control_.Signal();
  while (adopted_changes_ < change) adoption_.Wait(mu_);
}

void PollingThread::ThreadMain() {
  while (true) {
    // Acquire: pairs with the release in AwaitAdoption() and the destructor. A
    // thread that sleeps is signalled after that, and looks here next.
    if (changed_.load(std::memory_order_acquire) && !Adopt()) return;
    TakeTurns();
  }
}

// False: the thread is to end.
bool PollingThread::Adopt() {
  uint64_t change;
  {
    MutexLock lock(mu_);
    if (exit_) return false;
    // Relaxed: whoever sets it again holds the mutex.
    changed_.store(false, std::memory_order_relaxed);
    adopted_ = wanted_;
    change = changes_;
  }
  for (Member* const member : members_) {
    if (!Has(adopted_, member)) member->Leave();
  }
  for (Member* const member : adopted_) {
    if (!Has(members_, member)) member->Enter();
  }
  members_.swap(adopted_);
  MutexLock lock(mu_);
  adopted_changes_ = change;
  adoption_.NotifyAll();
  return true;
}

// Hot.
void PollingThread::TakeTurns() {
  bool work = false;
  bool look = false;
  for (size_t i = 0; i < members_.size();) {
    switch (members_[i]->Look()) {
      case Found::kWork:
        work = true;
        break;
      case Found::kNothing:
        look = true;
        break;
      case Found::kRest:
        break;
      case Found::kOver:
        End(*members_[i]);
        work = true;  // Something happened.
        continue;     // The next one has its place.
    }
    ++i;
  }
  if (work) {
    turns_ = 0;
  } else if (look) {
    LookLater();
  } else {
    Sleep();
  }
}

// Leave() comes before wanted_ tells that it is no member: then Remove() does
// not wait. Should that have come first, it waits until this is over, for it is
// this thread that adopts: so no Add() of the member can come in between.
void PollingThread::End(Member& member) {
  member.Leave();
  members_.erase(std::find(members_.begin(), members_.end(), &member));
  MutexLock lock(mu_);
  const auto at = std::find(wanted_.begin(), wanted_.end(), &member);
  if (at != wanted_.end()) wanted_.erase(at);
}

// Nobody found anything. Where others want this processor, they are to have it
// at once; where nobody does, to ask takes time.
void PollingThread::LookLater() {
  if (++turns_ < turns_per_yield_) {
    _mm_pause();
    return;
  }
  turns_ = 0;
  const int64_t before = MonotonicNanoseconds();
  ::sched_yield();
  const bool shared = MonotonicNanoseconds() - before > kSharedNs;
  turns_per_yield_ =
      shared ? 1 : std::min(turns_per_yield_ * 2, kMostTurnsPerYield);
}

// Until Wake(), or a change of members.
void PollingThread::Sleep() {
  if (!members_.empty()) sleeps_.Add(1);
  pollfd fd = {.fd = control_.fd(), .events = POLLIN, .revents = 0};
  if (::poll(&fd, 1, -1) > 0) (void)control_.Drain();
}

}  // namespace annulus::virtio
