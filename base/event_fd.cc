#include "base/event_fd.h"

#include <sys/eventfd.h>
#include <sys/uio.h>
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
  iovec room = {&count, sizeof(count)};
  // Whoever shares the eventfd may have made it blocking.
  ssize_t bytes = ::preadv2(fd_.get(), &room, 1, -1, RWF_NOWAIT);
  // What is no eventfd, or a kernel before 5.8, does not know that.
  if (bytes < 0 && errno == EOPNOTSUPP) {
    bytes = ::read(fd_.get(), &count, sizeof(count));
  }
  return bytes == ssize_t{sizeof(count)} ? count : 0;
}

}  // namespace annulus
