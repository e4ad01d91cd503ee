#ifndef DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_
#define DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_

#include <cstddef>
#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/packed_ring.h"

namespace annulus::virtio {

// Where a PackedDriver finds its memory. All of it outlives the driver.
struct PackedDriverConfig {
  PackedDescriptor* ring = nullptr;                // Aligned to 16.
  PackedEventSuppression* driver_event = nullptr;  // Aligned to 4.
  PackedEventSuppression* device_event = nullptr;  // Aligned to 4.
  uint16_t size = 0;                               // Descriptors, 1 to 32768.
  bool event_idx = false;       // VIRTIO_F_EVENT_IDX was negotiated.
  DriverSlot* slots = nullptr;  // `size` of them, private to the driver.

  // `size` tables of `indirect_entries` descriptors each. Null: all buffers are
  // put into the ring itself. Else every buffer of 2 to indirect_entries
  // elements goes through a table.
  PackedDescriptor* indirect_tables = nullptr;
  uint64_t indirect_tables_addr = 0;  // Guest-physical.
  uint16_t indirect_entries = 0;
};

// Driver side of a packed virtqueue (virtio 1.4 §2.8 "Packed Virtqueues").
// Header-only and freestanding: no C library, no exceptions, no SSE.
//
// Threads: thread-compatible; one owner.
// Trust: the device is checked too: a used id that is not in flight sets
//   broken(), and nothing else is done with it.
// Allocation: none.
class PackedDriver {
 public:
  explicit PackedDriver(const PackedDriverConfig& config)
      : config_(config), free_descriptors_(config.size) {
    // "The descriptor ring is zero-initialized." (§2.8.13)
    for (uint32_t i = 0; i < config_.size; ++i) {
      StoreDescriptor(config_.ring[i], 0, 0, 0);
      __atomic_store_n(&config_.ring[i].flags, 0, __ATOMIC_RELAXED);
      config_.slots[i] = {static_cast<uint16_t>(i + 1), 0};
    }
    StoreEvent(config_.driver_event, 0, kRingEventFlagsEnable);
    StoreEvent(config_.device_event, 0, kRingEventFlagsEnable);
  }

  // Makes one buffer available: `readable_count` elements for the device to
  // read, then `writable_count` for it to write. Returns its id, which
  // GetUsed() gives back, or kNoDriverBuffer: no room, or no element at all.
  uint16_t Add(const DriverElement* readable, uint32_t readable_count,
               const DriverElement* writable, uint32_t writable_count) {
    const uint32_t elements = readable_count + writable_count;
    const bool indirect = config_.indirect_tables != nullptr && elements > 1 &&
                          elements <= config_.indirect_entries;
    const uint32_t needed = indirect ? 1 : elements;
    if (elements == 0 || needed > free_descriptors_ ||
        free_id_ >= config_.size) {
      return kNoDriverBuffer;
    }
    const uint16_t id = free_id_;
    free_id_ = config_.slots[id].next;
    config_.slots[id].count = static_cast<uint16_t>(needed);
    free_descriptors_ -= needed;

    const uint16_t first = next_available_.offset;
    uint16_t first_flags = 0;
    if (indirect) {
      const uint64_t offset = sizeof(PackedDescriptor) *
                              static_cast<uint64_t>(id) *
                              config_.indirect_entries;
      PackedDescriptor* table =
          config_.indirect_tables + uint32_t{id} * config_.indirect_entries;
      for (uint32_t i = 0; i < elements; ++i) {
        const bool write = i >= readable_count;
        const DriverElement& element =
            write ? writable[i - readable_count] : readable[i];
        StoreDescriptor(table[i], element.addr, element.len, 0);
        __atomic_store_n(&table[i].flags,
                         static_cast<uint16_t>(write ? kPackedDescWrite : 0),
                         __ATOMIC_RELAXED);
      }
      first_flags =
          Place(config_.indirect_tables_addr + offset,
                elements * static_cast<uint32_t>(sizeof(PackedDescriptor)), id,
                kPackedDescIndirect, true);
    } else {
      for (uint32_t i = 0; i < elements; ++i) {
        const bool write = i >= readable_count;
        const DriverElement& element =
            write ? writable[i - readable_count] : readable[i];
        const uint16_t kind =
            static_cast<uint16_t>((write ? kPackedDescWrite : 0) |
                                  (i + 1 < elements ? kPackedDescNext : 0));
        const uint16_t flags =
            Place(element.addr, element.len, id, kind, i == 0);
        if (i == 0) first_flags = flags;
      }
    }
    // Release: pairs with the device's acquire of the first flags. "The driver
    // always makes the first descriptor in the list available after the rest"
    // (§2.8.6)
    __atomic_store_n(&config_.ring[first].flags, first_flags, __ATOMIC_RELEASE);
    added_ += needed;
    return id;
  }

  // True if the device wants an available buffer notification for what was
  // added since the last call (§2.8.21.2 "Sending Available Buffer
  // Notifications").
  bool NeedsNotification() {
    const uint32_t added = added_;
    if (added == 0) return false;
    added_ = 0;
    // Full fence: pairs with the device's between its write of the device event
    // suppression structure and its second look at the ring.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint32_t event =
        __atomic_load_n(reinterpret_cast<AliasedWord32*>(config_.device_event),
                        __ATOMIC_RELAXED);
    const uint32_t flags = (event >> 16) & kRingEventFlagsMask;
    if (flags == kRingEventFlagsDisable) return false;
    if (flags != kRingEventFlagsDesc || !config_.event_idx) return true;
    if (added > config_.size) return true;
    return PackedEventPassed(static_cast<uint16_t>(event), next_available_,
                             added, config_.size);
  }

  bool HasUsed() const {
    // Relaxed: GetUsed() acquires.
    return IsUsed(__atomic_load_n(&config_.ring[next_used_.offset].flags,
                                  __ATOMIC_RELAXED));
  }

  // Takes the next used buffer. False: there is none, or broken().
  bool GetUsed(uint16_t* id, uint32_t* len) {
    if (broken_) return false;
    PackedDescriptor& descriptor = config_.ring[next_used_.offset];
    // Acquire: pairs with the device's release of the flags, so that id, length
    // and the buffer's bytes are seen.
    if (!IsUsed(__atomic_load_n(&descriptor.flags, __ATOMIC_ACQUIRE))) {
      return false;
    }
    const uint16_t used_id = __atomic_load_n(&descriptor.id, __ATOMIC_RELAXED);
    if (used_id >= config_.size || config_.slots[used_id].count == 0) {
      broken_ = true;
      return false;
    }
    *id = used_id;
    *len = __atomic_load_n(&descriptor.len, __ATOMIC_RELAXED);
    const uint16_t count = config_.slots[used_id].count;
    next_used_.Advance(count, config_.size);
    free_descriptors_ += count;
    config_.slots[used_id] = {free_id_, 0};
    free_id_ = used_id;
    return true;
  }

  // Advises the device that no used buffer notifications are needed.
  void DisableCallbacks() {
    StoreEvent(config_.driver_event, 0, kRingEventFlagsDisable);
  }

  // Asks for a notification at the next used buffer. True if a buffer is used
  // already, perhaps without one: take it, do not sleep.
  bool EnableCallbacks() {
    if (config_.event_idx) {
      StoreEvent(config_.driver_event, next_used_.ToEventDesc(),
                 kRingEventFlagsDesc);
    } else {
      StoreEvent(config_.driver_event, 0, kRingEventFlagsEnable);
    }
    // Full fence: pairs with the device's between its write of used flags and
    // its reading of the driver event suppression structure.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return HasUsed();
  }

  uint32_t free_descriptors() const { return free_descriptors_; }
  bool broken() const { return broken_; }

 private:
  static constexpr uint16_t kAvailUsed = kPackedDescAvail | kPackedDescUsed;

  bool IsUsed(uint16_t flags) const {
    return (flags & kAvailUsed) == (next_used_.wrap ? kAvailUsed : 0);
  }

  static void StoreDescriptor(PackedDescriptor& descriptor, uint64_t addr,
                              uint32_t len, uint16_t id) {
    // Relaxed: exposed by the release of the first descriptor's flags.
    __atomic_store_n(&descriptor.addr, addr, __ATOMIC_RELAXED);
    __atomic_store_n(&descriptor.len, len, __ATOMIC_RELAXED);
    __atomic_store_n(&descriptor.id, id, __ATOMIC_RELAXED);
  }

  // One store for both fields: the device never sees a new mode with an old
  // descriptor.
  static void StoreEvent(PackedEventSuppression* event, uint16_t desc,
                         uint16_t flags) {
    __atomic_store_n(reinterpret_cast<AliasedWord32*>(event),
                     (static_cast<uint32_t>(flags) << 16) | desc,
                     __ATOMIC_RELAXED);
  }

  // Writes the next descriptor of the ring; the flags of the first one of a
  // list are returned and left to Add().
  uint16_t Place(uint64_t addr, uint32_t len, uint16_t id, uint16_t kind,
                 bool first) {
    PackedDescriptor& descriptor = config_.ring[next_available_.offset];
    StoreDescriptor(descriptor, addr, len, id);
    const uint16_t flags = static_cast<uint16_t>(
        kind | (next_available_.wrap ? kPackedDescAvail : kPackedDescUsed));
    if (!first) __atomic_store_n(&descriptor.flags, flags, __ATOMIC_RELAXED);
    next_available_.Advance(1, config_.size);
    return flags;
  }

  PackedDriverConfig config_;
  PackedPosition next_available_;  // Where the next descriptor goes.
  PackedPosition next_used_;       // Where the device writes the next used one.
  uint32_t free_descriptors_;
  uint32_t added_ = 0;    // Descriptors since the last NeedsNotification().
  uint16_t free_id_ = 0;  // Head of the free list; `size` ends it.
  bool broken_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_
