#ifndef DEVICES_VIRTIO_WORKER_POLLING_THREAD_H_
#define DEVICES_VIRTIO_WORKER_POLLING_THREAD_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/counter.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "base/thread_setup.h"

namespace annulus::virtio {

// A thread that asks its members for work, one after the other, again and
// again. It sleeps only while no member is there to ask, or all of them wait to
// be woken. Queues that share a processor share such a thread: two that yield
// to each other would switch contexts each time that one finds nothing.
//
// A member takes part from Add() to Remove(), or until it says kOver. One that
// waits keeps nobody from its turn.
//
// Threads: all from any thread but its own; Add() and Remove() of one member
//   are serialized by the caller.
// Allocation: none but in Create() and Add().
class PollingThread {
 public:
  enum class Found : uint8_t {
    kWork,     // And there may be more.
    kNothing,  // Now.
    kRest,     // Nor will there be, before Wake().
    kOver,     // Nor ever: it is not to be asked again.
  };

  // Threads: called on the polling thread only.
  class Member {
   public:
    virtual ~Member() = default;
    virtual void Enter() = 0;
    // Hot. Looks for work, and does some: a bounded amount, and never waits, as
    // the others do meanwhile.
    virtual Found Look() = 0;
    virtual void Leave() = 0;
  };

  // Starts the thread, on `cpu` only if there is one. InvalidArgument where the
  // host does not have that; else what the host refuses.
  static absl::StatusOr<std::unique_ptr<PollingThread>> Create(
      const std::string& name, std::optional<int> cpu,
      ThreadKind kind = ThreadKind::kQueue);

  PollingThread(const PollingThread&) = delete;
  PollingThread& operator=(const PollingThread&) = delete;
  // REQUIRES: it has no members.
  ~PollingThread();

  // When this returns, Enter() was called. Waits for at most one Look() of each
  // of the others, as Remove() does. REQUIRES: it is no member.
  void Add(Member& member);

  // When this returns, Leave() was called, and nothing else will be. A no-op if
  // it is no member, or is no more.
  void Remove(Member& member);

  // All members are asked again. Once is enough for any number of calls.
  void Wake() { control_.Signal(); }

  // How often it went to sleep while it had members.
  uint64_t sleeps() const { return sleeps_.value(); }

 private:
  using Members = std::vector<Member*>;

  // Turns, each in vain, after which others may have a processor that seems to
  // be the thread's own: the system call takes as long as many of them.
  static constexpr uint32_t kMostTurnsPerYield = 256;
  // Whoever is away from the processor for longer had to share it.
  static constexpr int64_t kSharedNs = 5'000;

  explicit PollingThread(EventFd control) : control_(std::move(control)) {}

  void AwaitAdoption() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ThreadMain();
  bool Adopt();
  void TakeTurns();
  void End(Member& member);
  void LookLater();
  void Sleep();

  const EventFd control_;  // Ends the sleep.
  Counter sleeps_;
  std::atomic<bool> changed_{false};  // wanted_ or exit_ did.

  // The thread's.
  Members members_;
  Members adopted_;  // The next members_.
  uint32_t turns_per_yield_ = 1;
  uint32_t turns_ = 0;  // In vain, since the last yield.

  Mutex mu_;
  CondVar adoption_;
  Members wanted_ ABSL_GUARDED_BY(mu_);
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;          // Of wanted_.
  uint64_t adopted_changes_ ABSL_GUARDED_BY(mu_) = 0;  // Those in members_.
  bool exit_ ABSL_GUARDED_BY(mu_) = false;

  Thread thread_;  // Last: the thread uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_POLLING_THREAD_H_
