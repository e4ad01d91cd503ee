#ifndef DEVICES_VHOST_USER_FRONT_END_BACK_END_CHANNEL_H_
#define DEVICES_VHOST_USER_FRONT_END_BACK_END_CHANNEL_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"

namespace annulus::vhost_user {

// The front-end's end of a connection: requests, each with its answer.
//
// A guest waits for what is asked, so the time for answers is a budget: at most
// `patience`, less what earlier ones took, and as much more as time has passed
// since. However many requests follow each other, they take that long together.
// When nobody is to wait any more, a request under way fails; what is left to
// say, so that a back-end which does answer ends in good order, has kFarewell.
//
// Threads: thread-compatible.
// Trust: the back-end is untrusted. An answer to something else, of another
//   size, or none in time is an error, after which the connection is to be
//   closed: nobody knows what the back-end has understood.
class BackEndChannel {
 public:
  static constexpr absl::Duration kFarewell = absl::Milliseconds(20);

  // `stop` ends waiting, once signalled for ever; outlives this.
  BackEndChannel(UniqueFd socket, const EventFd& stop, absl::Duration patience);

  // From now on a request without an answer of its own asks whether it was
  // understood (VHOST_USER_PROTOCOL_F_REPLY_ACK).
  void set_acknowledged() { acknowledged_ = true; }

  // A request whose answer is a number.
  absl::StatusOr<uint64_t> Get(Request request);

  // A request whose answer is another message of the same kind.
  absl::StatusOr<Message> Exchange(const Message& request);

  // A request without an answer of its own. FailedPrecondition where the
  // back-end says that it failed. Descriptors remain the caller's.
  absl::Status Tell(Message request, const std::vector<int>& fds = {});
  template <typename T>
  absl::Status Set(Request request, const T& value,
                   const std::vector<int>& fds = {}) {
    return Tell(MakeMessage(static_cast<uint32_t>(request), 0, value), fds);
  }

  int fd() const { return socket_.fd(); }

 private:
  absl::Status SendOrExchange(Message& request);
  // Nanoseconds of base/clock.h, until which the next request may take.
  void BeginWait();
  absl::Duration TimeLeft() const;
  void EndWait();
  // What ends the wait that is on.
  const EventFd& Stop() const { return leaving_ ? never_ : *stop_; }

  MessageSocket socket_;
  const EventFd* stop_;
  EventFd never_{UniqueFd()};  // Of no descriptor, which poll(2) skips.
  const int64_t patience_ns_;
  int64_t left_ns_;          // As of waited_ns_.
  int64_t waited_ns_;        // End of the last wait.
  int64_t deadline_ns_ = 0;  // Of the one that is on.
  bool leaving_ = false;     // `stop` was signalled.
  bool acknowledged_ = false;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_FRONT_END_BACK_END_CHANNEL_H_
