#ifndef DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_USED_INL_H_
#define DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_USED_INL_H_

// packed_driver.h from where the device has used a buffer, or will not.
// Included from there only. Citations are of virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"  // IWYU pragma: keep
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/shared_access.h"

namespace annulus::virtio {

inline bool PackedDriver::HasUsed() const {
  // Relaxed: GetUsed() acquires.
  return batch_last_ != kNoDriverBuffer ||
         (memory::SharedLoad(&config_.ring[used_slot_].flags,
                             __ATOMIC_RELAXED) &
          kAvailUsed) == used_flags_;
}

// Hot. REQUIRES: count <= size.
inline void PackedDriver::AdvanceUsed(uint32_t count) {
  uint32_t next = used_slot_ + count;
  if (next >= config_.size) {
    next -= config_.size;
    used_flags_ ^= kAvailUsed;
  }
  used_slot_ = next;
}

// Hot. "Element Length is reserved for used descriptors without the
// VIRTQ_DESC_F_WRITE flag, and is ignored by drivers." (§2.8.4)
inline uint32_t PackedDriver::UsedLength(uint64_t word) {
  return ((word >> 48) & kPackedDescWrite) != 0 ? static_cast<uint32_t>(word)
                                                : 0;
}

// Hot. At the first descriptor of a cache line: asks for the line after it, as
// used buffers come in batches. With the device's prefetch in Take() this is
// worth a quarter of the time of a ring of batches (tools/bench ring).
inline void PackedDriver::PrefetchNextLine() const {
  constexpr uint32_t kPerLine =
      memory::kCacheLineBytes / sizeof(PackedDescriptor);
  if (used_slot_ % kPerLine != 0) return;
  memory::PrefetchForWrite(
      reinterpret_cast<uintptr_t>(config_.ring + used_slot_) +
      memory::kCacheLineBytes);
}

inline bool PackedDriver::GetUsed(uint16_t* id, uint32_t* len) {
  if (state_ != DriverState::kAnyOrder) [[unlikely]] {
    return GetUsedInOrder(id, len);
  }
  // Acquire: pairs with the device's release of the flags, so that id, length
  // and the buffer's bytes are seen.
  const uint64_t word =
      memory::SharedLoad(WordOf(config_.ring[used_slot_]), __ATOMIC_ACQUIRE);
  if (((word >> 48) & kAvailUsed) != used_flags_) return false;
  PrefetchNextLine();
  const uint16_t used_id = static_cast<uint16_t>(word >> 32);
  if (!InFlight(used_id)) [[unlikely]] {
    return Break();
  }
  *id = used_id;
  *len = UsedLength(word);
  DriverSlot& slot = config_.slots[used_id];
  const uint32_t count = slot.count;
  slot.count = 0;
  slot.next = free_id_;
  free_id_ = used_id;
  free_descriptors_ += count;
  AdvanceUsed(count);
  return true;
}

// "allows devices to notify the use of a batch of buffers to the driver by only
// writing out a single used descriptor with the Buffer ID corresponding to the
// last descriptor in the batch." (§2.8.8) The buffers in flight lie one after
// the other from used_slot_ on, so an id that is in flight cannot be missed.
inline bool PackedDriver::GetUsedInOrder(uint16_t* id, uint32_t* len) {
  if (state_ != DriverState::kInOrder) return false;
  const uint16_t oldest = static_cast<uint16_t>(used_slot_);
  if (batch_last_ == kNoDriverBuffer) {
    // Acquire: as in GetUsed().
    const uint64_t word =
        memory::SharedLoad(WordOf(config_.ring[oldest]), __ATOMIC_ACQUIRE);
    if (((word >> 48) & kAvailUsed) != used_flags_) return false;
    const uint16_t last = static_cast<uint16_t>(word >> 32);
    if (!InFlight(last)) return Break();
    batch_last_ = last;
    batch_len_ = UsedLength(word);
  }
  DriverSlot& slot = config_.slots[oldest];
  *id = oldest;
  *len = slot.writable_bytes;
  if (oldest == batch_last_) {
    *len = batch_len_;
    batch_last_ = kNoDriverBuffer;
  }
  const uint32_t count = slot.count;
  slot.count = 0;
  free_descriptors_ += count;
  AdvanceUsed(count);
  return true;
}

// One store for both fields: the device never sees a new mode with an old
// descriptor.
inline void PackedDriver::StoreDriverEvent(uint16_t desc, uint16_t flags) {
  memory::SharedStore(reinterpret_cast<AliasedWord32*>(config_.driver_event),
                      (uint32_t{flags} << 16) | desc, __ATOMIC_RELAXED);
}

inline bool PackedDriver::EnableCallbacks() {
  if (!config_.event_idx) return EnableEveryCallback();
  StoreDriverEvent(next_used().ToEventDesc(), kRingEventFlagsDesc);
  // Full fence: pairs with the device's between its write of used flags and its
  // reading of the driver event suppression structure.
  memory::FullFence();
  return HasUsed();
}

inline bool PackedDriver::EnableEveryCallback() {
  StoreDriverEvent(0, kRingEventFlagsEnable);
  // Full fence: as in EnableCallbacks().
  memory::FullFence();
  return HasUsed();
}

inline bool PackedDriver::EnableCallbacksDelayed() {
  if (!config_.event_idx) return EnableEveryCallback();
  const uint32_t wanted =
      DelayedCallbackCount(config_.size - free_descriptors_);
  PackedPosition event = next_used();
  event.Advance(wanted - 1, config_.size);
  StoreDriverEvent(event.ToEventDesc(), kRingEventFlagsDesc);
  // Full fence: as in EnableCallbacks().
  memory::FullFence();
  return UsedDescriptorsReach(wanted);
}

// How far the used descriptor at `position` takes the device. REQUIRES:
// InFlight(id).
inline uint32_t PackedDriver::DescriptorsUsedBy(PackedPosition position,
                                                uint16_t id) const {
  const uint32_t count = config_.slots[id].count;
  if (!config_.in_order) return count;
  const uint32_t skipped = id >= position.offset
                               ? id - position.offset
                               : id + config_.size - position.offset;
  return skipped + count;
}

// Counts without taking. A used descriptor stands only where a buffer's turn to
// be used begins, so the walk goes from each to the next.
inline bool PackedDriver::UsedDescriptorsReach(uint32_t wanted) const {
  PackedPosition position = next_used();
  uint16_t id = batch_last_;
  for (uint32_t used = 0; used < wanted; id = kNoDriverBuffer) {
    if (id == kNoDriverBuffer) {
      // Acquire: as in GetUsed().
      const uint64_t word = memory::SharedLoad(
          WordOf(config_.ring[position.offset]), __ATOMIC_ACQUIRE);
      if (((word >> 48) & kAvailUsed) != (position.wrap ? kAvailUsed : 0)) {
        return false;
      }
      id = static_cast<uint16_t>(word >> 32);
    }
    if (!InFlight(id)) return true;  // GetUsed() will find the ring broken.
    const uint32_t count = DescriptorsUsedBy(position, id);
    if (count >= wanted - used) return true;
    used += count;
    position.Advance(count, config_.size);
  }
  return true;
}

inline bool PackedDriver::DetachUnused(uint16_t* id) {
  if (state_ != DriverState::kDetached) {
    state_ = DriverState::kDetached;
    // Otherwise the descriptors stayed available to the device. With a wrap
    // counter of 1, flags of 0 are not used either.
    for (uint32_t i = 0; i < config_.size; ++i) {
      memory::SharedStore(&config_.ring[i].flags, 0, __ATOMIC_RELAXED);
    }
    used_slot_ = 0;
    used_flags_ = kAvailUsed;
    batch_last_ = kNoDriverBuffer;
    hidden_ = false;
    added_ = 0;
    free_descriptors_ = 0;
    free_id_ = 0;  // From here on: how far the search has come.
  }
  while (free_id_ < config_.size) {
    const uint16_t candidate = free_id_++;
    if (config_.slots[candidate].count == 0) continue;
    config_.slots[candidate].count = 0;
    *id = candidate;
    return true;
  }
  return false;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_USED_INL_H_
