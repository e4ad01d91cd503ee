#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINK_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/switch/switched_packet.h"

namespace annulus::virtio {

// What all links of a port to other processes hold together.
struct LinkBudget {
  uint64_t max_bytes = 0;
  // Relaxed: it guards nothing. Two threads may exceed the bound by a packet.
  std::atomic<uint64_t> bytes{0};
};

// A socket to the device of another process, on which packets are sent:
// straight from guest memory as long as the socket takes them. What it does not
// take waits here, bounded, and goes out before anything newer. As PacketQueue
// has it, a link may hold no more than what is still free for all.
//
// Threads: thread-safe. One of them at a time is the one that sends; what
// others
//   want to send meanwhile waits, and that one sends it. No system call is made
//   while the lock is held.
// Allocation: for packets that the socket does not take.
class OutboundLink {
 public:
  // `epoll` is whence Flush() is called when the socket is ready for more; it
  // and the budget outlive the link.
  OutboundLink(uint64_t id, uint64_t cid, UniqueFd socket, int epoll,
               LinkBudget& budget);
  OutboundLink(const OutboundLink&) = delete;
  OutboundLink& operator=(const OutboundLink&) = delete;
  ~OutboundLink();

  uint64_t id() const { return id_; }
  uint64_t cid() const { return cid_; }
  int fd() const { return socket_.get(); }

  enum class Result : uint8_t {
    kSent,  // Or it waits.
    kFull,  // There is no room for it to wait.
    kGone   // Nobody is there any more.
  };

  // Hot. A RST has room where other packets have none; but not forever.
  // Payload of more than kLinkMaxPayload becomes several packets, of which
  // the last one has the flags. kFull: a part of them may have gone out.
  Result Send(const PacketHeader& header, const PacketPayload& payload,
              uint64_t serial);

  // The socket may take something again: sends what waits.
  void Flush();

  // Nothing is sent from now on, as it is when somebody finds that the peer is
  // gone; the peer learns of it when it has read what is on its way. fd() has
  // hung up then, but lasts as long as the link.
  void Close();

 private:
  // Of RSTs that wait; each was answered with one to the guest.
  static constexpr size_t kMostResets = 16384;

  // How many packets of others a thread sends with its own.
  static constexpr int kMostOfOthers = 64;

  enum class Written : uint8_t { kDone, kAgain, kGone };

  Result SendOne(const PacketHeader& header, const PacketPayload& payload,
                 uint64_t serial);
  Written Write(const PacketHeader& header, const PacketPayload& payload,
                uint64_t serial) const;
  Written Write(const SwitchedPacket& packet) const;

  bool Admits(const SwitchedPacket& packet) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Count(const SwitchedPacket& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Uncount(const SwitchedPacket& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Result Enqueue(SwitchedPacket packet);
  void SendWaiting();
  void AskForFlush() const;

  const uint64_t id_;
  const uint64_t cid_;
  const UniqueFd socket_;
  const int epoll_;
  LinkBudget& budget_;

  Mutex mu_;
  bool sending_ ABSL_GUARDED_BY(mu_) = false;  // A thread does, unlocked.
  bool again_ ABSL_GUARDED_BY(mu_) = false;    // It is to try once more.
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;  // Of `waiting_`.
  size_t resets_ ABSL_GUARDED_BY(mu_) = 0;   // Likewise.
  std::deque<SwitchedPacket> waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_OUTBOUND_LINK_H_
