#include "devices/vhost_user/back_end/poll_timer.h"

#include <sys/timerfd.h>

#include <cerrno>

#include "absl/status/status.h"

namespace annulus::vhost_user {
namespace {

constexpr long kPeriodNanoseconds = 100'000;

}  // namespace

absl::StatusOr<UniqueFd> CreatePollTimer() {
  UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec period = {
      .it_interval = {.tv_sec = 0, .tv_nsec = kPeriodNanoseconds},
      .it_value = {.tv_sec = 0, .tv_nsec = kPeriodNanoseconds}};
  if (!fd.valid() || ::timerfd_settime(fd.get(), 0, &period, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "setting up a timer to poll a vring");
  }
  return fd;
}

}  // namespace annulus::vhost_user
