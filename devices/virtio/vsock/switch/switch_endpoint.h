#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_ENDPOINT_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_ENDPOINT_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/connection_table.h"
#include "devices/virtio/vsock/switch/doorbell.h"
#include "devices/virtio/vsock/switch/packet_queue.h"
#include "devices/virtio/vsock/switch/switched_packet.h"

namespace annulus::virtio {

// What there is of a port that others may touch: its connections, and the
// packets that wait for its guest.
//
// Each end of a connection has a table of its own, and no two locks are ever
// held at once; so the tables may disagree for a moment. They find together by
// the serials of connections: what one end says of a connection that the other
// has no more, or that was replaced, changes nothing.
//
// Threads: thread-safe. No system call is made, and no guest memory touched,
//   while the lock is held.
// Trust: headers are the guests', but for the CIDs.
class SwitchEndpoint {
 public:
  SwitchEndpoint(uint64_t cid, uint32_t max_connections, uint64_t max_bytes,
                 EventFd event);

  uint64_t cid() const { return cid_; }
  uint64_t max_bytes() const { return max_bytes_; }
  Doorbell& doorbell() { return doorbell_; }

  // Packets may come.
  void Open();

  // They may not, and those that wait are dropped. Returns the connections that
  // there were, whose other ends are to be told.
  using Connections = std::vector<std::pair<SwitchKey, SwitchConnection>>;
  Connections Close();

  // Hot. This guest sends a packet: what to do with it. REQUEST begins the
  // connection `serial`; RST ends it here.
  struct Departure {
    enum class Verdict : uint8_t {
      kForward,  // To the other end of `connection`.
      kDrop,     // It belongs to a connection whose end the guest will learn.
      kUnknown,  // There is no such connection.
      kLimit     // The guest has too many.
    };
    Verdict verdict = Verdict::kForward;
    SwitchConnection connection = {};
  };
  Departure Depart(const PacketHeader& header, uint64_t serial);

  // It could not be forwarded: the connection is over here as well. True if
  // this guest is to be told now; false if it will learn it anyway.
  bool Abandon(const SwitchKey& key, uint64_t serial);

  // Hot. A packet for this guest, of the connection that both ends call
  // packet.serial, and that came by that link of another process, or by none.
  enum class Arrival : uint8_t {
    kTaken,    // Or it was of no interest.
    kUnknown,  // There is no such connection.
    kFull,     // The guest does not read. Without a link, the connection is
               // over here; with one, the packet was left, to come again.
    kLimit,    // The guest has too many connections.
    kClosed    // No packets may come.
  };
  Arrival Arrive(SwitchedPacket& packet, uint64_t link = 0);

  // The connection's packets go out by that link. False: it is over.
  bool BindOutLink(const SwitchKey& key, uint64_t serial, uint64_t link);

  // That link is gone, and the connections whose packets came or went by it are
  // over.
  void EndLink(uint64_t link);

  // Hot. For the rx worker: settles the first `delivered` of the batch, puts
  // the rest back, and fills it anew with at most `most` unless there was a
  // rest. True if there may be more than these.
  bool Exchange(std::vector<SwitchedPacket>& batch, size_t delivered,
                size_t most);

  // Connections of all states.
  size_t connections() const;

 private:
  void PutBack(SwitchedPacket packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void End(const SwitchKey& key, SwitchConnection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Arrival ArriveLocked(SwitchedPacket& packet, uint64_t link)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Arrival RequestArrives(const SwitchKey& key, SwitchedPacket& packet,
                         uint64_t link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const uint64_t cid_;
  const uint64_t max_bytes_;

  Doorbell doorbell_;  // Thread-safe.

  mutable Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  SwitchConnectionTable table_ ABSL_GUARDED_BY(mu_);
  PacketQueue inbox_ ABSL_GUARDED_BY(mu_);
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_ENDPOINT_H_
