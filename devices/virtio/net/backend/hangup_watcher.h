#ifndef DEVICES_VIRTIO_NET_BACKEND_HANGUP_WATCHER_H_
#define DEVICES_VIRTIO_NET_BACKEND_HANGUP_WATCHER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "devices/virtio/net/backend/link_state.h"

namespace annulus::virtio {

// Takes a link down, for good, when the peer of a stream socket hangs up, or
// when the socket is shut down at this end.
//
// Threads: thread-compatible; a thread of its own calls LinkState::Set().
class HangupWatcher {
 public:
  // `fd` and `link` outlive it. `name` is the thread's.
  static absl::StatusOr<std::unique_ptr<HangupWatcher>> Create(
      absl::string_view name, int fd, LinkState& link);

  HangupWatcher(const HangupWatcher&) = delete;
  HangupWatcher& operator=(const HangupWatcher&) = delete;
  ~HangupWatcher();  // Joins the thread.

 private:
  HangupWatcher(int fd, LinkState& link, EventFd stop);

  void ThreadMain();

  const int fd_;
  LinkState& link_;
  const EventFd stop_;
  Thread thread_;  // Last: uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_HANGUP_WATCHER_H_
