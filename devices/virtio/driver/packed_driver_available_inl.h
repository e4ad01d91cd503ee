#ifndef DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_AVAILABLE_INL_H_
#define DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_AVAILABLE_INL_H_

// packed_driver.h up to where the device has a buffer. Included from there
// only. Citations are of virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"  // IWYU pragma: keep
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/shared_access.h"

namespace annulus::virtio {

inline void PackedDriver::Reset() {
  // "The descriptor ring is zero-initialized." (§2.8.13)
  for (uint32_t i = 0; i < config_.size; ++i) {
    StoreDescriptor(config_.ring[i], 0, 0);
    config_.slots[i] = {
        .next = static_cast<uint16_t>(i + 1 == config_.size ? 0 : i + 1)};
  }
  StoreDriverEvent(0, kRingEventFlagsEnable);
  memory::SharedStore(reinterpret_cast<AliasedWord32*>(config_.device_event), 0,
                      __ATOMIC_RELAXED);
  available_slot_ = used_slot_ = 0;
  available_flags_ = kPackedDescAvail;
  used_flags_ = kAvailUsed;
  free_descriptors_ = config_.size;
  added_ = 0;
  free_id_ = 0;
  hidden_ = false;
  batch_last_ = kNoDriverBuffer;
  state_ = config_.in_order ? DriverState::kInOrder : DriverState::kAnyOrder;
}

inline void PackedDriver::StoreDescriptor(PackedDescriptor& descriptor,
                                          uint64_t addr, uint64_t word) {
  // Relaxed: exposed by the release in Expose().
  memory::SharedStore(&descriptor.addr, addr, __ATOMIC_RELAXED);
  memory::SharedStore(WordOf(descriptor), word, __ATOMIC_RELAXED);
}

// Hot. An id is free whenever a descriptor is: a buffer has one of the former
// and at least one of the latter. In order, the free list is never reordered
// and an id is the offset of its buffer's first descriptor.
inline uint16_t PackedDriver::TakeId(uint32_t count) {
  const uint16_t id = free_id_;
  DriverSlot& slot = config_.slots[id];
  free_id_ = slot.next;
  slot.count = static_cast<uint16_t>(count);
  free_descriptors_ -= count;
  added_ += count;
  return id;
}

// Hot. Writes the address of the ring's next descriptor; the caller gets the
// rest of it. `kind` is of the flags what does not depend on the place.
inline PackedDriver::FirstDescriptor PackedDriver::Place(DriverElement element,
                                                         uint16_t id,
                                                         uint16_t kind) {
  const uint32_t slot = available_slot_;
  // Relaxed: exposed by the release in Expose().
  memory::SharedStore(&config_.ring[slot].addr, element.addr, __ATOMIC_RELAXED);
  const uint16_t flags = static_cast<uint16_t>(kind | available_flags_);
  uint32_t next = slot + 1;
  if (next >= config_.size) {
    next = 0;
    available_flags_ ^= kAvailUsed;
  }
  available_slot_ = next;
  return {.slot = slot, .word = ToWord(element.len, id, flags)};
}

// Hot. Places a buffer but for the word of its first descriptor.
inline bool PackedDriver::Fill(const DriverElement* readable,
                               uint32_t readable_count,
                               const DriverElement* writable,
                               uint32_t writable_count, uint16_t& id,
                               FirstDescriptor& first) {
  if (readable_count + writable_count != 1) [[unlikely]] {
    return FillMany(readable, readable_count, writable, writable_count, id,
                    first);
  }
  if (free_descriptors_ == 0) [[unlikely]] {
    return false;
  }
  const bool write = writable_count != 0;
  const DriverElement element = write ? *writable : *readable;
  id = TakeId(1);
  config_.slots[id].writable_bytes = write ? element.len : 0;
  first = Place(element, id, write ? kPackedDescWrite : 0);
  return true;
}

// Of none or several elements.
inline bool PackedDriver::FillMany(const DriverElement* readable,
                                   uint32_t readable_count,
                                   const DriverElement* writable,
                                   uint32_t writable_count, uint16_t& id,
                                   FirstDescriptor& first) {
  const uint32_t elements = readable_count + writable_count;
  const bool indirect = config_.indirect_tables != nullptr &&
                        elements <= config_.indirect_entries;
  const uint32_t needed = indirect ? 1 : elements;
  // "A driver MUST NOT create a descriptor list longer than the Queue Size."
  // (§2.8.17) That goes for tables, too.
  if (elements == 0 || elements > config_.size || needed > free_descriptors_) {
    return false;
  }
  id = TakeId(needed);
  const uint32_t entry = uint32_t{id} * config_.indirect_entries;
  uint32_t writable_bytes = 0;
  for (uint32_t i = 0; i < elements; ++i) {
    const bool write = i >= readable_count;
    const DriverElement& element =
        write ? writable[i - readable_count] : readable[i];
    if (write) writable_bytes += element.len;
    const uint16_t kind = write ? kPackedDescWrite : 0;
    if (indirect) {
      StoreDescriptor(config_.indirect_tables[entry + i], element.addr,
                      ToWord(element.len, 0, kind));
    } else {
      // "Buffer ID is included in the last descriptor in the list." (§2.8.6)
      const bool last = i + 1 == elements;
      const FirstDescriptor placed =
          last ? Place(element, id, kind)
               : Place(element, 0,
                       static_cast<uint16_t>(kind | kPackedDescNext));
      if (i == 0) {
        first = placed;
      } else {
        // Relaxed: as the address.
        memory::SharedStore(WordOf(config_.ring[placed.slot]), placed.word,
                            __ATOMIC_RELAXED);
      }
    }
  }
  if (indirect) {
    const uint64_t table = uint64_t{entry} * sizeof(PackedDescriptor);
    const uint64_t bytes = uint64_t{elements} * sizeof(PackedDescriptor);
    first = Place({.addr = config_.indirect_tables_addr + table,
                   .len = static_cast<uint32_t>(bytes)},
                  id, kPackedDescIndirect);
  }
  config_.slots[id].writable_bytes = writable_bytes;
  if (config_.in_order) free_id_ = static_cast<uint16_t>(available_slot_);
  return true;
}

inline void PackedDriver::Hide(FirstDescriptor first) {
  if (!hidden_) {
    hidden_ = true;
    hidden_first_ = first;
  } else {
    // Relaxed: exposed with the first of the batch.
    memory::SharedStore(WordOf(config_.ring[first.slot]), first.word,
                        __ATOMIC_RELAXED);
  }
}

// Hot.
inline void PackedDriver::Expose(FirstDescriptor first) {
  // Release: pairs with the device's acquire of these flags. "The driver always
  // makes the first descriptor in the list available after the rest of the list
  // has been written out into the ring." (§2.8.6) Here: after the whole batch.
  memory::SharedStore(WordOf(config_.ring[first.slot]), first.word,
                      __ATOMIC_RELEASE);
}

inline bool PackedDriver::NeedsNotification() {
  Expose();
  const uint64_t added = added_;
  if (added == 0) return false;
  added_ = 0;
  // Full fence: pairs with the device's between its write of the device event
  // suppression structure and its second look at the ring.
  memory::FullFence();
  // Both fields in one load, so that they belong together. It is what the
  // device wrote that decides, not what was negotiated: RING_EVENT_FLAGS_ENABLE
  // is allowed with VIRTIO_F_EVENT_IDX too.
  const uint32_t event = memory::SharedLoad(
      reinterpret_cast<const AliasedWord32*>(config_.device_event),
      __ATOMIC_RELAXED);
  const uint32_t flags = (event >> 16) & kRingEventFlagsMask;
  if (flags == kRingEventFlagsDisable) return false;
  if (flags != kRingEventFlagsDesc || !config_.event_idx) return true;
  if (added > config_.size) return true;
  return PackedEventPassed(static_cast<uint16_t>(event), next_available(),
                           static_cast<uint32_t>(added), config_.size);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_AVAILABLE_INL_H_
