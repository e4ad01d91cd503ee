#ifndef DEVICES_VIRTIO_NET_CONTROL_COALESCING_H_
#define DEVICES_VIRTIO_NET_CONTROL_COALESCING_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace annulus::virtio {

// struct virtio_net_ctrl_coal. Where one of them is 0, the conditions for a
// used buffer notification are met after every packet.
struct Coalescing {
  uint32_t max_packets = 0;
  uint32_t max_usecs = 0;

  bool coalesces() const { return max_packets != 0 && max_usecs != 0; }

  friend bool operator==(const Coalescing&, const Coalescing&) = default;
};

enum class Direction : uint8_t { kReceive, kTransmit };

// The parameters of every data queue (virtio 1.4 §5.1.6.5.10 "Notifications
// Coalescing"): "the device applies the last coalescing parameters set for a
// virtqueue, regardless of the command used".
//
// Queues are known by their virtqueue index: receive queues are even.
//
// Threads: thread-safe. Of() is hot and lock-free, the rest is cold.
// Allocation: none.
class CoalescingTable {
 public:
  static constexpr uint16_t kMaxQueues = 2 * 16;

  // Hot. REQUIRES: vq < kMaxQueues.
  Coalescing Of(uint16_t vq) const;

  // TX_SET and RX_SET: for all queues of the direction, and for those that are
  // enabled later.
  void SetAll(Direction direction, const Coalescing& coalescing);

  // VQ_SET. REQUIRES: vq < kMaxQueues.
  void Set(uint16_t vq, const Coalescing& coalescing);

  // The queue is being enabled: it has what the last TX_SET or RX_SET said, or
  // 0. REQUIRES: vq < kMaxQueues.
  void QueueEnabled(uint16_t vq);

  // "Upon reset, a device MUST initialize all coalescing parameters to 0."
  void Reset();

 private:
  void Store(uint16_t vq, const Coalescing& coalescing)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;
  std::array<Coalescing, 2> all_ ABSL_GUARDED_BY(mu_);  // By direction.
  // Both numbers in one, so that no reader sees half of a change. Written under
  // mu_.
  std::array<std::atomic<uint64_t>, kMaxQueues> queues_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_COALESCING_H_
