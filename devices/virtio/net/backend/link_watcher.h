#ifndef DEVICES_VIRTIO_NET_BACKEND_LINK_WATCHER_H_
#define DEVICES_VIRTIO_NET_BACKEND_LINK_WATCHER_H_

#include <array>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/link_state.h"

namespace annulus::virtio {

// Follows a network interface of the host: its link is up while it is both
// administratively up and operational (IFF_UP and IFF_RUNNING). One that was
// deleted, or moved to another network namespace, is down for good.
//
// Kernel messages of rtnetlink(7) only say that it is time to look again; so
// none is parsed, and a lost one does no harm.
//
// Threads: thread-compatible; a thread of its own calls LinkState::Set().
class LinkWatcher {
 public:
  // Watches interface `name` of the calling thread's network namespace, and
  // only if it has this address: a namesake elsewhere is another interface
  // (NotFound). `state` is set before it returns, and outlives the watcher.
  static absl::StatusOr<std::unique_ptr<LinkWatcher>> Create(
      absl::string_view name, const std::array<uint8_t, 6>& mac,
      LinkState& state);

  LinkWatcher(const LinkWatcher&) = delete;
  LinkWatcher& operator=(const LinkWatcher&) = delete;
  ~LinkWatcher();  // Joins the thread.

 private:
  LinkWatcher(UniqueFd netlink, EventFd stop, int index, LinkState& state);

  bool Look() const;
  bool DrainMessages() const;
  void ThreadMain();

  const UniqueFd netlink_;
  const EventFd stop_;
  const int index_;
  LinkState& state_;
  Thread thread_;  // Last: uses all of the above.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_LINK_WATCHER_H_
