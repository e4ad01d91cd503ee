#ifndef DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_USED_INL_H_
#define DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_USED_INL_H_

// split_driver.h from where the device has used a buffer, or will not. Included
// from there only. Citations are of virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/split_driver.h"  // IWYU pragma: keep
#include "devices/virtio/spec/split_ring.h"
#include "memory/shared_access.h"

namespace annulus::virtio {

inline bool SplitDriver::HasUsed() const {
  // Relaxed: GetUsed() acquires.
  return memory::SharedLoad(&config_.used->idx, __ATOMIC_RELAXED) != next_used_;
}

inline bool SplitDriver::GetUsed(uint16_t* id, uint32_t* len) {
  if (state_ != DriverState::kAnyOrder) [[unlikely]] {
    return GetUsedInOrder(id, len);
  }
  // Acquire: pairs with the device's release of the used idx, so that the
  // element and the buffer's bytes are seen.
  if (memory::SharedLoad(&config_.used->idx, __ATOMIC_ACQUIRE) == next_used_) {
    return false;
  }
  const SplitUsedElement* element = NextUsedElement();
  const uint32_t head = memory::SharedLoad(&element->id, __ATOMIC_RELAXED);
  if (!InFlight(head)) [[unlikely]] {
    return Break();
  }
  *id = static_cast<uint16_t>(head);
  *len = memory::SharedLoad(&element->len, __ATOMIC_RELAXED);
  ++next_used_;
  Free(static_cast<uint16_t>(head));
  return true;
}

// "only writing out a single used ring entry with the id corresponding to the
// head entry of the descriptor chain describing the last buffer in the batch.
// [...] This will result in the used ring entry at an offset matching the first
// available ring entry in the batch" (§2.7.9). The buffers in flight lie one
// after the other from oldest_ on, so an id that is in flight cannot be missed.
inline bool SplitDriver::GetUsedInOrder(uint16_t* id, uint32_t* len) {
  if (state_ != DriverState::kInOrder) return false;
  // Acquire: as in GetUsed().
  if (memory::SharedLoad(&config_.used->idx, __ATOMIC_ACQUIRE) == next_used_) {
    // In the middle of a batch: its element named a buffer beyond idx.
    return batch_last_ != kNoDriverBuffer ? Break() : false;
  }
  if (batch_last_ == kNoDriverBuffer) {
    const SplitUsedElement* element = NextUsedElement();
    const uint32_t last = memory::SharedLoad(&element->id, __ATOMIC_RELAXED);
    if (!InFlight(last)) return Break();
    batch_last_ = static_cast<uint16_t>(last);
    batch_len_ = memory::SharedLoad(&element->len, __ATOMIC_RELAXED);
  }
  DriverSlot& slot = config_.slots[oldest_];
  *id = oldest_;
  *len = slot.writable_bytes;
  if (oldest_ == batch_last_) {
    *len = batch_len_;
    batch_last_ = kNoDriverBuffer;
  }
  free_descriptors_ += slot.count;
  oldest_ = static_cast<uint16_t>((oldest_ + slot.count) & (config_.size - 1));
  slot.count = 0;
  ++next_used_;
  return true;
}

// Hot. Returns the descriptors of a buffer to the free list.
inline void SplitDriver::Free(uint16_t head) {
  const uint32_t count = config_.slots[head].count;
  uint16_t tail = head;
  for (uint32_t i = 1; i < count; ++i) tail = config_.slots[tail].next;
  config_.slots[tail].next = free_head_;
  config_.slots[head].count = 0;
  free_head_ = head;
  free_descriptors_ += count;
}

inline void SplitDriver::DisableCallbacks() {
  // "if the VIRTIO_F_EVENT_IDX feature bit is negotiated: The driver MUST set
  // flags to 0" (§2.7.7.1); a used_event that lies behind is advice enough.
  if (config_.event_idx) return;
  memory::SharedStore(&config_.available->flags, kAvailNoInterrupt,
                      __ATOMIC_RELAXED);
}

inline bool SplitDriver::EnableCallbacks() {
  if (config_.event_idx) {
    memory::SharedStore(UsedEvent(), next_used_, __ATOMIC_RELAXED);
  } else {
    memory::SharedStore(&config_.available->flags, 0, __ATOMIC_RELAXED);
  }
  // Full fence: pairs with the device's between its write of the used idx and
  // its reading of used_event or flags.
  memory::FullFence();
  return HasUsed();
}

inline bool SplitDriver::EnableCallbacksDelayed() {
  if (!config_.event_idx) return EnableCallbacks();
  const uint32_t wanted =
      DelayedCallbackCount(static_cast<uint16_t>(next_available_ - next_used_));
  memory::SharedStore(UsedEvent(),
                      static_cast<uint16_t>(next_used_ + wanted - 1),
                      __ATOMIC_RELAXED);
  // Full fence: as in EnableCallbacks().
  memory::FullFence();
  const uint16_t idx = memory::SharedLoad(&config_.used->idx, __ATOMIC_RELAXED);
  return static_cast<uint16_t>(idx - next_used_) >= wanted;
}

inline bool SplitDriver::DetachUnused(uint16_t* id) {
  if (state_ != DriverState::kDetached) {
    state_ = DriverState::kDetached;
    // Nothing in the rings says of a single descriptor that it is available,
    // and the index must not go back before Reset() (§2.7.6.1).
    exposed_ = notified_ = next_available_;
    next_used_ = memory::SharedLoad(&config_.used->idx, __ATOMIC_RELAXED);
    free_descriptors_ = 0;
    free_head_ = 0;  // From here on: how far the search has come.
  }
  while (free_head_ < config_.size) {
    const uint16_t candidate = free_head_++;
    if (config_.slots[candidate].count == 0) continue;
    config_.slots[candidate].count = 0;
    *id = candidate;
    return true;
  }
  return false;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_USED_INL_H_
