#ifndef DEVICES_VHOST_USER_BACK_END_EVENT_DESCRIPTOR_H_
#define DEVICES_VHOST_USER_BACK_END_EVENT_DESCRIPTOR_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace annulus::vhost_user {

// A descriptor of the front-end as one that may be polled, read and written as
// an eventfd: it is made non-blocking. InvalidArgument for files, pipes,
// sockets and devices: what could block a worker, or end the process by
// SIGPIPE. Other things without a name, such as a timerfd, do no harm.
//
// Trust: the front-end shares it, and may make it blocking again at any time.
//   EventFd::Drain() never waits all the same; CallInterrupt
//   neither.
absl::StatusOr<UniqueFd> AsEventDescriptor(UniqueFd fd);

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_EVENT_DESCRIPTOR_H_
