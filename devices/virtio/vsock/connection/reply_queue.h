#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_REPLY_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_REPLY_QUEUE_H_

#include <cstddef>
#include <vector>

#include "devices/virtio/vsock/packet_header.h"

namespace annulus::virtio {

// RSTs of no connection that wait for room in the rx virtqueue: so many that
// the tx virtqueue goes on while rx is full (virtio 1.4 §5.10.6.1.1
// "Virtqueue Flow Control"), and no more, since the guest chooses how many it
// provokes.
//
// Threads: thread-compatible.
// Allocation: once, with the first reply.
class ReplyQueue {
 public:
  static constexpr size_t kMost = 1024;

  bool empty() const { return count_ == 0; }
  size_t size() const { return count_; }

  // False: it is full.
  [[nodiscard]] bool Push(const PacketHeader& reply) {
    if (count_ == kMost) return false;
    if (replies_.empty()) replies_.resize(kMost);
    replies_[(first_ + count_++) % kMost] = reply;
    return true;
  }

  // REQUIRES: !empty().
  const PacketHeader& Front() const { return replies_[first_]; }
  void Pop() {
    first_ = (first_ + 1) % kMost;
    --count_;
  }

  // Drops replies to these ports, which name something else from now on.
  void Forget(const PacketHeader& request) {
    size_t kept = 0;
    for (size_t i = 0; i < count_; ++i) {
      const PacketHeader& reply = replies_[(first_ + i) % kMost];
      if (reply.dst_port == request.src_port &&
          reply.src_port == request.dst_port &&
          reply.src_cid == request.dst_cid) {
        continue;
      }
      replies_[(first_ + kept++) % kMost] = reply;
    }
    count_ = kept;
  }

  void Clear() { count_ = 0; }

 private:
  std::vector<PacketHeader> replies_;
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_REPLY_QUEUE_H_
