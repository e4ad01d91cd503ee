#ifndef DEVICES_VHOST_USER_WIRE_MESSAGE_SOCKET_H_
#define DEVICES_VHOST_USER_WIRE_MESSAGE_SOCKET_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"

namespace annulus::vhost_user {

// A connected unix stream socket that carries messages and descriptors.
//
// Threads: one that receives and one that sends, concurrently. A wait ends
//   early when `stop` is signalled, from any thread.
// Trust: the other side is untrusted: a message that is cut off, too large or
//   of another version, too many descriptors, or descriptors at a place where
//   no message begins, is an error, after which the connection is to be closed.
//   Descriptors are close-on-exec; those of a broken message are closed.
// Allocation: of the vector of descriptors alone.
class MessageSocket {
 public:
  explicit MessageSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  // Waits for the next whole message. Errors:
  //   OutOfRange        the other side hung up between two messages
  //   Cancelled         `stop` was signalled (it is not drained)
  //   DeadlineExceeded  it took longer than `timeout`
  //   InvalidArgument   what came is no message
  //   or the errno of recvmsg(2).
  absl::StatusOr<Message> Receive(const EventFd& stop, absl::Duration timeout);

  // Sends all of it. Never raises SIGPIPE. The same errors; the descriptors
  // remain the caller's.
  absl::Status Send(const Message& message, const EventFd& stop,
                    absl::Duration timeout);

  int fd() const { return fd_.get(); }

 private:
  const UniqueFd fd_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_WIRE_MESSAGE_SOCKET_H_
