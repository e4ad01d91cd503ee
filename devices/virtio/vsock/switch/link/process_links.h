#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_PROCESS_LINKS_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_PROCESS_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/switch/connection_table.h"
#include "devices/virtio/vsock/switch/doorbell.h"
#include "devices/virtio/vsock/switch/link/cid_socket.h"
#include "devices/virtio/vsock/switch/link/inbound_link.h"
#include "devices/virtio/vsock/switch/link/outbound_links.h"
#include "devices/virtio/vsock/switch/switch_member.h"

namespace annulus::virtio {

// How one port reaches the ports of other processes, and is reached by them:
// DIRECTORY/<cid> is its socket, to which others connect in order to send. A
// link goes one way: who connects sends, who accepts receives. The first
// message says who sends, each other one is a packet; see link_message.h.
//
// A connection is bound to the link on which its packets go out, and to the one
// on which they come. When either is lost, the connection is over: whoever
// closes a link, or dies, so tells the other end of all of its connections.
// Packets that were sent before that arrive before that.
//
// What comes faster than the guest reads stays in the socket, so that the
// sender notices.
//
// Threads: Send() on the tx worker, SendDatagram() on the datagram tx worker,
//   Poll(), Resume(), Listen() and StopListening() on the rx worker; CloseAll()
//   while none of them runs.
// Trust: whoever may connect is any program: nothing that it sends, or fails to
//   do, harms more than the connections of the CID that it claims. That CID is
//   believed, unless it is one of this process.
// Allocation: for a packet that comes, its payload; for one that goes, what the
//   socket does not take at once.
class ProcessLinks {
 public:
  // Takes the CID. `members`, `self`, which is one of them, and `log` outlive
  // this. AlreadyExists if another process has it; else what the host refuses.
  static absl::StatusOr<std::unique_ptr<ProcessLinks>> Create(
      const std::string& directory, const std::string& name,
      SwitchMembers& members, SwitchMember& self, LogSink& log);

  ProcessLinks(const ProcessLinks&) = delete;
  ProcessLinks& operator=(const ProcessLinks&) = delete;

  // Readable when Poll() has something to do, or the guest's doorbell rang.
  int fd() const { return epoll_.get(); }

  // Whether others can connect; at first they cannot.
  void Listen();
  void StopListening();

  // All links there are.
  void CloseAll();

  // Hot. False: it is over with the connection, and the other end learns of it.
  bool Send(const PacketHeader& header, const PacketPayload& payload,
            const SwitchConnection& connection);
  // False: it is lost.
  bool SendDatagram(const PacketHeader& header, const PacketPayload& payload);

  // Takes a bounded number of packets. Never blocks.
  void Poll();

  // The guest has read something, or there is nothing more to read.
  void Resume();

 private:
  ProcessLinks(const std::string& directory, const std::string& name,
               SwitchMembers& members, SwitchMember& self, LogSink& log,
               UniqueFd epoll, EventFd wake, CidSocket socket, UniqueFd spare);

  // Some of what is sent on a link. False: it is to be closed.
  bool Read(InboundLink& link);
  bool Hello(InboundLink& link);
  // The packet of the link to where it belongs. False: it stays.
  bool Give(InboundLink& link);
  void Refuse(const PacketHeader& request, uint64_t serial);
  void Drained(InboundLink& link);
  void MakeReady(InboundLink& link);
  void CloseInbound(uint64_t id);
  // From any thread: so that its peer learns that its connections are over.
  void CloseInboundSoon(uint64_t id);
  void OutboundEvent(uint64_t id, uint32_t events);
  void Accept();
  void TakeSpare();
  void Report(const char* what);

  // Constant after construction.
  const std::string name_;
  LogSink& log_;

  RateLimiter log_limiter_;  // Thread-safe, as the next two.
  SwitchMembers& members_;
  SwitchMember& self_;

  const UniqueFd epoll_;
  Doorbell wake_;           // For Poll(). Thread-safe.
  OutboundLinks outbound_;  // Thread-safe.

  Mutex mu_;
  absl::flat_hash_set<uint64_t> close_soon_ ABSL_GUARDED_BY(mu_);

  // Of the rx worker.
  CidSocket socket_;
  UniqueFd spare_;  // Given up for a moment when descriptors run out.
  bool accept_more_ = false;
  LinkBuffer buffer_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<InboundLink>> inbound_;
  absl::flat_hash_map<uint64_t, uint64_t> inbound_by_cid_;
  std::deque<uint64_t> strangers_;  // Who has not said hello, oldest first.
  std::vector<uint64_t> ready_;     // Links with `ready` set.
  std::vector<uint64_t> paused_;    // Links with `paused` set.
  std::vector<uint64_t> turn_;      // Those of `ready_` that are served now.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_PROCESS_LINKS_H_
