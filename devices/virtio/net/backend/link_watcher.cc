#include "devices/virtio/net/backend/link_watcher.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace annulus::virtio {
namespace {

absl::StatusOr<UniqueFd> OpenNetlink() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       NETLINK_ROUTE));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "opening rtnetlink");
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  const void* const generic = &address;
  if (::bind(fd.get(), static_cast<const sockaddr*>(generic),
             sizeof(address)) != 0) {
    return absl::ErrnoToStatus(errno, "subscribing to rtnetlink link events");
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LinkWatcher>> LinkWatcher::Create(
    absl::string_view name, const std::array<uint8_t, 6>& mac,
    LinkState& state) {
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd netlink, OpenNetlink());
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(netlink.get(), SIOCGIFHWADDR, &request) != 0 ||
      !std::equal(
          mac.begin(), mac.end(), request.ifr_hwaddr.sa_data,
          [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }) ||
      ::ioctl(netlink.get(), SIOCGIFINDEX, &request) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "interface \"", name, "\" is not in this network namespace"));
  }
  const int index = request.ifr_ifindex;
  ANNULUS_ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  std::unique_ptr<LinkWatcher> watcher(
      new LinkWatcher(std::move(netlink), std::move(stop), index, state));
  LinkWatcher* const self = watcher.get();
  // After the subscription: a change from here on wakes the thread.
  self->Look();
  ANNULUS_ASSIGN_OR_RETURN(watcher->thread_,
                           Thread::Start(absl::StrCat(name, "/link"),
                                         [self] { self->ThreadMain(); }));
  return watcher;
}

LinkWatcher::LinkWatcher(UniqueFd netlink, EventFd stop, int index,
                         LinkState& state)
    : netlink_(std::move(netlink)),
      stop_(std::move(stop)),
      index_(index),
      state_(state) {}

LinkWatcher::~LinkWatcher() { stop_.Signal(); }

// False: the interface has vanished. Its name may change, its index does not.
bool LinkWatcher::Look() const {
  ifreq request = {};
  request.ifr_ifindex = index_;
  const bool exists = ::ioctl(netlink_.get(), SIOCGIFNAME, &request) == 0;
  const bool known =
      exists && ::ioctl(netlink_.get(), SIOCGIFFLAGS, &request) == 0;
  constexpr int kUp = IFF_UP | IFF_RUNNING;
  state_.Set(known && (request.ifr_flags & kUp) == kUp);
  return exists;
}

// False: there is nothing to be heard from this socket any more.
bool LinkWatcher::DrainMessages() const {
  // Other interfaces' events arrive here too: the bound lets a storm of them
  // not keep the thread from looking.
  for (int i = 0; i < 64; ++i) {
    char byte;  // The rest of the message is cut off.
    if (::recv(netlink_.get(), &byte, 1, 0) >= 0) continue;
    if (errno == EAGAIN) return true;
    // ENOBUFS: messages were lost, and it is time to look all the same.
    if (errno != EINTR && errno != ENOBUFS) return false;
  }
  return true;
}

void LinkWatcher::ThreadMain() {
  for (;;) {
    pollfd fds[] = {{netlink_.get(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) continue;  // EINTR: no other can be.
    if (fds[1].revents != 0) return;
    if (!DrainMessages() || !Look()) return;
  }
}

}  // namespace annulus::virtio
