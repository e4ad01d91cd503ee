#ifndef VMM_CONTROL_EVENT_LOOP_H_
#define VMM_CONTROL_EVENT_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"

namespace annulus {

// The control thread's loop: waits for file descriptors and calls back. All
// that is neither a vCPU nor a virtqueue that carries data runs here.
//
// Threads: Stop() from any thread. Watch(), Rewatch() and Unwatch() before or
//   after Run(), or from callbacks on the loop's thread.
class EventLoop {
 public:
  using Callback = std::function<void(uint32_t events)>;  // EPOLLIN and so on.

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // Calls `callback` whenever `fd`, borrowed, has one of `events` (level
  // triggered); errors and hang-ups are always told. PermissionDenied for
  // regular files, which are always ready.
  absl::Status Watch(int fd, uint32_t events, Callback callback);
  // From now on for other `events`; 0: errors and hang-ups alone. REQUIRES:
  // `fd` is watched.
  void Rewatch(int fd, uint32_t events);
  void Unwatch(int fd);

  // Runs until Stop().
  void Run();
  void Stop();

 private:
  EventLoop(UniqueFd epoll, EventFd wake);

  const UniqueFd epoll_;
  const EventFd wake_;
  std::atomic<bool> stop_{false};
  std::map<int, std::shared_ptr<Callback>> callbacks_;  // By descriptor.
};

}  // namespace annulus

#endif  // VMM_CONTROL_EVENT_LOOP_H_
