#include "devices/virtio/vsock/switch/link/outbound_links.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/switch/link/cid_socket.h"
#include "devices/virtio/vsock/switch/link/link_message.h"

namespace annulus::virtio {

OutboundLinks::OutboundLinks(std::string directory, uint64_t own_cid,
                             uint64_t max_bytes, int epoll,
                             SwitchMembers& members)
    : directory_(std::move(directory)),
      own_cid_(own_cid),
      epoll_(epoll),
      members_(members) {
  budget_.max_bytes = max_bytes;
}

std::shared_ptr<OutboundLink> OutboundLinks::Find(uint64_t cid) const {
  MutexLock lock(mu_);
  const auto found = by_cid_.find(cid);
  return found == by_cid_.end() ? nullptr : found->second;
}

std::shared_ptr<OutboundLink> OutboundLinks::FindById(uint64_t id) const {
  MutexLock lock(mu_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

bool OutboundLinks::MayTry(uint64_t cid, int64_t now_ns) {
  if (by_id_.size() >= kMostLinks) return false;
  const auto found = unreachable_.find(cid);
  if (found != unreachable_.end() && now_ns < found->second) return false;
  if (unreachable_.size() >= kMostLinks) {
    absl::erase_if(unreachable_, [now_ns](const auto& entry) {
      return entry.second <= now_ns;
    });
    if (unreachable_.size() >= kMostLinks) return false;
  }
  return true;
}

std::shared_ptr<OutboundLink> OutboundLinks::FindOrConnect(uint64_t cid,
                                                           int64_t now_ns) {
  if (cid < kVsockFirstGuestCid || cid > kVsockLastGuestCid) return nullptr;
  {
    MutexLock lock(mu_);
    const auto found = by_cid_.find(cid);
    if (found != by_cid_.end()) return found->second;
    if (!MayTry(cid, now_ns)) return nullptr;
  }
  std::shared_ptr<OutboundLink> link = Connect(cid);
  if (link == nullptr) {
    MutexLock lock(mu_);
    unreachable_[cid] = now_ns + kRetryNanoseconds;
  }
  return link;
}

std::shared_ptr<OutboundLink> OutboundLinks::Connect(uint64_t cid) {
  UniqueFd socket = ConnectToCid(directory_, cid);
  if (!socket.valid()) return nullptr;
  const LinkHello hello = EncodeLinkHello(own_cid_);
  if (::send(socket.get(), hello.data(), hello.size(),
             MSG_DONTWAIT | MSG_NOSIGNAL) != ssize_t{kLinkHelloBytes}) {
    return nullptr;
  }
  auto link = std::make_shared<OutboundLink>(
      members_.NextSerial(), cid, std::move(socket), epoll_, budget_);
  {
    MutexLock lock(mu_);
    by_id_.emplace(link->id(), link);
  }
  // It can be found by now, if it hangs up at once.
  epoll_event event = {};
  event.events = EPOLLOUT | EPOLLET;
  event.data.u64 = link->id();
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, link->fd(), &event) != 0) {
    Remove(*link);
    return nullptr;
  }
  std::shared_ptr<OutboundLink> winner;
  {
    MutexLock lock(mu_);
    unreachable_.erase(cid);
    winner = by_cid_.try_emplace(cid, link).first->second;
  }
  if (winner != link) {  // Another worker was faster.
    link->Close();
    Remove(*link);
  }
  return winner;
}

void OutboundLinks::Lose(const OutboundLink& link) {
  MutexLock lock(mu_);
  const auto found = by_cid_.find(link.cid());
  if (found != by_cid_.end() && found->second.get() == &link) {
    by_cid_.erase(found);
  }
}

void OutboundLinks::Remove(const OutboundLink& link) {
  Lose(link);
  std::shared_ptr<OutboundLink> removed;  // Closed without the lock.
  MutexLock lock(mu_);
  const auto found = by_id_.find(link.id());
  if (found == by_id_.end()) return;
  removed = std::move(found->second);
  by_id_.erase(found);
}

void OutboundLinks::CloseAll() {
  absl::flat_hash_map<uint64_t, std::shared_ptr<OutboundLink>> links;
  {
    MutexLock lock(mu_);
    links.swap(by_id_);
    by_cid_.clear();
    unreachable_.clear();
  }
  for (const auto& [id, link] : links) link->Close();
}

void OutboundLinks::Heard(uint64_t cid) {
  MutexLock lock(mu_);
  unreachable_.erase(cid);
}

}  // namespace annulus::virtio
