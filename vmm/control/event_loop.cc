#include "vmm/control/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

epoll_event EventFor(int fd, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  return event;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return absl::ErrnoToStatus(errno, "creating an epoll");
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  epoll_event event = EventFor(wake.fd(), EPOLLIN);
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.fd(), &event) != 0) {
    return absl::ErrnoToStatus(errno, "watching the control loop's eventfd");
  }
  return std::unique_ptr<EventLoop>(
      new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(UniqueFd epoll, EventFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

absl::Status EventLoop::Watch(int fd, uint32_t events, Callback callback) {
  epoll_event event = EventFor(fd, events);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("watching fd %d", fd));
  }
  callbacks_[fd] = std::make_shared<Callback>(std::move(callback));
  return absl::OkStatus();
}

void EventLoop::Rewatch(int fd, uint32_t events) {
  epoll_event event = EventFor(fd, events);
  ANNULUS_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::Unwatch(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  callbacks_.erase(fd);
}

void EventLoop::Run() {
  std::array<epoll_event, 16> events;
  // Acquire: pairs with the release in Stop().
  while (!stop_.load(std::memory_order_acquire)) {
    const int ready = ::epoll_wait(epoll_.get(), events.data(),
                                   static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == wake_.fd()) {
        wake_.Drain();
        continue;
      }
      const auto found = callbacks_.find(fd);
      if (found == callbacks_.end()) continue;  // Unwatched in this round.
      // The callback may unwatch itself: hold it while it runs.
      const std::shared_ptr<Callback> callback = found->second;
      (*callback)(events[static_cast<size_t>(i)].events);
    }
  }
}

void EventLoop::Stop() {
  // Release: pairs with the acquire in Run().
  stop_.store(true, std::memory_order_release);
  wake_.Signal();
}

}  // namespace annulus
