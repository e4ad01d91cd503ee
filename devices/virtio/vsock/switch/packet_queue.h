#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_PACKET_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_PACKET_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "devices/virtio/vsock/switch/switched_packet.h"

namespace annulus::virtio {

// Packets that wait for one guest, in the order in which they came, and a bound
// of their bytes.
//
// The bound is shared so that nobody can take it all: a sender may hold no more
// than what is still free. One alone gets half of it; another one that comes
// while the first floods still gets a quarter, and so on.
//
// A packet counts from Push() until Settle(), also while it is taken out to be
// delivered.
//
// Threads: thread-compatible.
// Allocation: amortized, with the number of packets and senders.
class PacketQueue {
 public:
  explicit PacketQueue(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  bool empty() const { return packets_.empty(); }
  size_t size() const { return packets_.size(); }
  uint64_t bytes() const { return bytes_; }

  // Whether a packet of this cost from this CID may be pushed.
  bool Admits(uint64_t sender, uint64_t cost) const;

  // The sender is the packet's src_cid.
  void Push(SwitchedPacket packet);
  // REQUIRES: not empty. Still counts.
  SwitchedPacket Pop();
  // Puts one back that Pop() gave.
  void PushFront(SwitchedPacket packet);
  // It is gone, and counts no more.
  void Settle(const SwitchedPacket& packet);

  // Drops all of them.
  // REQUIRES: those that were taken out are settled or put back.
  void Clear();

 private:
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  absl::flat_hash_map<uint64_t, uint64_t> bytes_by_sender_;  // None is 0.
  std::deque<SwitchedPacket> packets_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_PACKET_QUEUE_H_
