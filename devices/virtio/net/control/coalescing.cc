#include "devices/virtio/net/control/coalescing.h"

#include <cstddef>

#include "base/check.h"

namespace annulus::virtio {
namespace {

Direction DirectionOf(uint16_t vq) {
  return vq % 2 == 0 ? Direction::kReceive : Direction::kTransmit;
}

size_t IndexOf(Direction direction) { return static_cast<size_t>(direction); }

}  // namespace

// Hot.
Coalescing CoalescingTable::Of(uint16_t vq) const {
  ANNULUS_DCHECK(vq < kMaxQueues);
  // Relaxed: the value is all that there is to see.
  const uint64_t both = queues_[vq].load(std::memory_order_relaxed);
  return {.max_packets = static_cast<uint32_t>(both),
          .max_usecs = static_cast<uint32_t>(both >> 32)};
}

void CoalescingTable::SetAll(Direction direction,
                             const Coalescing& coalescing) {
  const MutexLock lock(mu_);
  all_[IndexOf(direction)] = coalescing;
  for (uint16_t vq = 0; vq < kMaxQueues; ++vq) {
    if (DirectionOf(vq) == direction) Store(vq, coalescing);
  }
}

void CoalescingTable::Set(uint16_t vq, const Coalescing& coalescing) {
  ANNULUS_DCHECK(vq < kMaxQueues);
  const MutexLock lock(mu_);
  Store(vq, coalescing);
}

void CoalescingTable::QueueEnabled(uint16_t vq) {
  ANNULUS_DCHECK(vq < kMaxQueues);
  const MutexLock lock(mu_);
  Store(vq, all_[IndexOf(DirectionOf(vq))]);
}

void CoalescingTable::Reset() {
  const MutexLock lock(mu_);
  all_ = {};
  for (uint16_t vq = 0; vq < kMaxQueues; ++vq) Store(vq, {});
}

void CoalescingTable::Store(uint16_t vq, const Coalescing& coalescing) {
  queues_[vq].store(
      uint64_t{coalescing.max_usecs} << 32 | coalescing.max_packets,
      std::memory_order_relaxed);  // See Of().
}

}  // namespace annulus::virtio
