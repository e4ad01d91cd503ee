#include "devices/virtio/net/backend/hangup_watcher.h"

#include <poll.h>

#include <utility>

#include "base/status_macros.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<HangupWatcher>> HangupWatcher::Create(
    absl::string_view name, int fd, LinkState& link) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  std::unique_ptr<HangupWatcher> watcher(
      new HangupWatcher(fd, link, std::move(stop)));
  HangupWatcher* const self = watcher.get();
  ANNULUS_ASSIGN_OR_RETURN(watcher->thread_,
                           Thread::Start(name, [self] { self->ThreadMain(); }));
  return watcher;
}

HangupWatcher::HangupWatcher(int fd, LinkState& link, EventFd stop)
    : fd_(fd), link_(link), stop_(std::move(stop)) {}

HangupWatcher::~HangupWatcher() { stop_.Signal(); }

void HangupWatcher::ThreadMain() {
  for (;;) {
    pollfd fds[] = {{fd_, POLLRDHUP, 0}, {stop_.fd(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) continue;  // EINTR: no other can be.
    if (fds[1].revents != 0) return;
    // POLLHUP and POLLERR come unasked.
    link_.Set(false);
    return;
  }
}

}  // namespace annulus::virtio
