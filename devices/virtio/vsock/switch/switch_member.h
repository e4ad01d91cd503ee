#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_MEMBER_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_MEMBER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "devices/virtio/vsock/switch/datagram_inbox.h"
#include "devices/virtio/vsock/switch/switch_endpoint.h"

namespace annulus::virtio {

// A port as the other ports of this process see it. They may keep it longer
// than it is a member.
struct SwitchMember {
  SwitchMember(uint64_t cid, uint32_t max_connections, uint64_t max_bytes,
               EventFd packet_event, EventFd datagram_event)
      : endpoint(cid, max_connections, max_bytes, std::move(packet_event)),
        datagrams(max_bytes, std::move(datagram_event)) {}

  SwitchEndpoint endpoint;
  DatagramInbox datagrams;
  // It has left: who still has it is to look for another one. Relaxed: what a
  // member that left is sent, it refuses.
  std::atomic<bool> left{false};
};

// Who is attached in this process, by CID.
//
// Threads: thread-safe.
class SwitchMembers {
 public:
  SwitchMembers();

  // False: there is one of this CID.
  bool Join(uint64_t cid, const std::shared_ptr<SwitchMember>& member);
  void Leave(uint64_t cid);

  // Null if there is none.
  std::shared_ptr<SwitchMember> Find(uint64_t cid) const;

  // A number that no other connection has, nor one of another process that
  // matters, and not 0.
  uint64_t NextSerial() {
    // Relaxed: it is only to be different.
    return next_serial_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> next_serial_;

  mutable Mutex mu_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<SwitchMember>> members_
      ABSL_GUARDED_BY(mu_);
};

// Remembers whom a worker has sent packets to, so that it need not ask for each
// packet.
//
// Threads: one worker.
class MemberCache {
 public:
  explicit MemberCache(const SwitchMembers& members) : members_(members) {}

  // Hot. Null if there is no such member. Valid until the next call.
  SwitchMember* Find(uint64_t cid);

 private:
  // Those that have left are let go when there are more.
  static constexpr size_t kMost = 64;

  const SwitchMembers& members_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<SwitchMember>> known_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_MEMBER_H_
