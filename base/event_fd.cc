#include "base/event_fd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"

namespace annulus {

absl::StatusOr<EventFd> EventFd::Create() {
  UniqueFd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "creating an eventfd");
  return EventFd(std::move(fd));
}

void EventFd::Signal() const {
  const uint64_t one = 1;
  // EAGAIN: the counter is saturated, so the reader is already due to wake.
  [[maybe_unused]] const ssize_t written =
      ::write(fd_.get(), &one, sizeof(one));
}

uint64_t EventFd::Drain() const {
  uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

}  // namespace annulus
