#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINKS_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "devices/virtio/vsock/switch/link/outbound_link.h"
#include "devices/virtio/vsock/switch/switch_member.h"

namespace annulus::virtio {

// The links on which a port sends, one for each CID of another process that its
// guest has to do with. A link is made when it is first needed, and made anew
// after it was lost. A CID that could not be reached is not tried again for a
// while, for a guest may ask as often as it likes.
//
// Threads: thread-safe. No system call is made while the lock is held.
class OutboundLinks {
 public:
  // Links are registered with `epoll`, edge-triggered, by their ids; the epoll
  // and `members`, who number the links, outlive this.
  OutboundLinks(std::string directory, uint64_t own_cid, uint64_t max_bytes,
                int epoll, SwitchMembers& members);
  OutboundLinks(const OutboundLinks&) = delete;
  OutboundLinks& operator=(const OutboundLinks&) = delete;

  // Null: there is none.
  std::shared_ptr<OutboundLink> Find(uint64_t cid) const;
  // Null: that CID cannot be reached.
  std::shared_ptr<OutboundLink> FindOrConnect(uint64_t cid, int64_t now_ns);
  // Also of those that were lost, until Remove().
  std::shared_ptr<OutboundLink> FindById(uint64_t id) const;

  // It was lost: the next one that is asked for is a new one.
  void Lose(const OutboundLink& link);
  void Remove(const OutboundLink& link);
  void CloseAll();

  // That CID may be tried again at once: it was heard of.
  void Heard(uint64_t cid);

 private:
  // A bound of descriptors, and of CIDs that are remembered as unreachable.
  static constexpr size_t kMostLinks = 1024;
  static constexpr int64_t kRetryNanoseconds = 100'000'000;

  std::shared_ptr<OutboundLink> Connect(uint64_t cid);
  bool MayTry(uint64_t cid, int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::string directory_;
  const uint64_t own_cid_;
  const int epoll_;

  SwitchMembers& members_;
  LinkBudget budget_;

  mutable Mutex mu_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<OutboundLink>> by_id_
      ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, std::shared_ptr<OutboundLink>> by_cid_
      ABSL_GUARDED_BY(mu_);
  // Until when each of them is not tried.
  absl::flat_hash_map<uint64_t, int64_t> unreachable_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINKS_H_
