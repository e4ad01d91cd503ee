#ifndef DEVICES_VHOST_USER_BACK_END_POLL_TIMER_H_
#define DEVICES_VHOST_USER_BACK_END_POLL_TIMER_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus::vhost_user {

// For a queue that nobody kicks: a timerfd that takes the place of its eventfd,
// and lets its worker look at the ring every so often.
absl::StatusOr<UniqueFd> CreatePollTimer();

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_POLL_TIMER_H_
