#ifndef DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_
#define DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_

#include <cstddef>
#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/split_ring.h"

namespace annulus::virtio {

// Where a SplitDriver finds its memory. All of it outlives the driver.
struct SplitDriverConfig {
  SplitDescriptor* descriptors = nullptr;  // Aligned to 16.
  // SplitAvailableRingBytes(size), aligned to 2.
  SplitAvailableHeader* available = nullptr;
  SplitUsedHeader* used = nullptr;  // SplitUsedRingBytes(size), aligned to 4.
  uint16_t size = 0;                // A power of 2 up to 32768.
  bool event_idx = false;           // VIRTIO_F_EVENT_IDX was negotiated.
  DriverSlot* slots = nullptr;      // `size` of them, private to the driver.

  // `size` tables of `indirect_entries` descriptors each. Null: all buffers are
  // put into the descriptor table itself. Else every buffer of 2 to
  // indirect_entries elements goes through a table.
  SplitDescriptor* indirect_tables = nullptr;
  uint64_t indirect_tables_addr = 0;  // Guest-physical.
  uint16_t indirect_entries = 0;
};

// Driver side of a split virtqueue (virtio 1.4 §2.7 "Split Virtqueues").
// Header-only and freestanding: no C library, no exceptions, no SSE.
//
// Threads: thread-compatible; one owner.
// Trust: the device is checked too: a used id that is not in flight sets
//   broken(), and nothing else is done with it.
// Allocation: none.
class SplitDriver {
 public:
  explicit SplitDriver(const SplitDriverConfig& config)
      : config_(config), free_descriptors_(config.size) {
    for (uint32_t i = 0; i < config_.size; ++i) {
      config_.slots[i] = {static_cast<uint16_t>(i + 1), 0};
      __atomic_store_n(AvailableEntry(i), 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&config_.available->flags, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&config_.available->idx, 0, __ATOMIC_RELAXED);
    __atomic_store_n(UsedEvent(), 0, __ATOMIC_RELAXED);
    // "The driver MUST initialize flags in the used ring to 0 when allocating
    // the used ring." (§2.7.10.1)
    __atomic_store_n(&config_.used->flags, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&config_.used->idx, 0, __ATOMIC_RELAXED);
    __atomic_store_n(AvailEvent(), 0, __ATOMIC_RELAXED);
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
    if (elements == 0 || needed > free_descriptors_) return kNoDriverBuffer;
    const uint16_t head = free_head_;
    SplitDescriptor* table = config_.descriptors;
    uint32_t index = head;
    if (indirect) {
      const uint32_t offset = uint32_t{head} * config_.indirect_entries;
      table = config_.indirect_tables + offset;
      index = 0;
      StoreDescriptor(
          config_.descriptors[head],
          config_.indirect_tables_addr + offset * sizeof(SplitDescriptor),
          elements * static_cast<uint32_t>(sizeof(SplitDescriptor)),
          kSplitDescIndirect, 0);
      free_head_ = config_.slots[head].next;
    }
    for (uint32_t i = 0; i < elements; ++i) {
      const bool write = i >= readable_count;
      const bool last = i + 1 == elements;
      const DriverElement& element =
          write ? writable[i - readable_count] : readable[i];
      const uint32_t next = indirect ? index + 1 : config_.slots[index].next;
      StoreDescriptor(table[index], element.addr, element.len,
                      static_cast<uint16_t>((write ? kSplitDescWrite : 0) |
                                            (last ? 0 : kSplitDescNext)),
                      static_cast<uint16_t>(last ? 0 : next));
      if (!indirect && last) free_head_ = config_.slots[index].next;
      index = next;
    }
    config_.slots[head].count = static_cast<uint16_t>(needed);
    free_descriptors_ -= needed;
    __atomic_store_n(AvailableEntry(next_available_ & (config_.size - 1)), head,
                     __ATOMIC_RELAXED);
    ++next_available_;
    // Release: pairs with the device's acquire of the available idx.
    __atomic_store_n(&config_.available->idx, next_available_,
                     __ATOMIC_RELEASE);
    return head;
  }

  // True if the device wants an available buffer notification for what was
  // added since the last call (§2.7.10 "Available Buffer Notification
  // Suppression").
  bool NeedsNotification() {
    const uint16_t before = notified_;
    if (before == next_available_) return false;
    notified_ = next_available_;
    // Full fence: pairs with the device's between its write of avail_event or
    // flags and its second look at idx.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (config_.event_idx) {
      return EventIndexPassed(__atomic_load_n(AvailEvent(), __ATOMIC_RELAXED),
                              next_available_, before);
    }
    return (__atomic_load_n(&config_.used->flags, __ATOMIC_RELAXED) &
            kUsedNoNotify) == 0;
  }

  bool HasUsed() const {
    // Relaxed: GetUsed() acquires.
    return __atomic_load_n(&config_.used->idx, __ATOMIC_RELAXED) != next_used_;
  }

  // Takes the next used buffer. False: there is none, or broken().
  bool GetUsed(uint16_t* id, uint32_t* len) {
    // Acquire: pairs with the device's release of the used idx, so that the
    // element and the buffer's bytes are seen.
    if (broken_ ||
        __atomic_load_n(&config_.used->idx, __ATOMIC_ACQUIRE) == next_used_) {
      return false;
    }
    SplitUsedElement* element =
        reinterpret_cast<SplitUsedElement*>(config_.used + 1) +
        (next_used_ & (config_.size - 1));
    const uint32_t head = __atomic_load_n(&element->id, __ATOMIC_RELAXED);
    if (head >= config_.size || config_.slots[head].count == 0) {
      broken_ = true;
      return false;
    }
    *id = static_cast<uint16_t>(head);
    *len = __atomic_load_n(&element->len, __ATOMIC_RELAXED);
    ++next_used_;
    Free(static_cast<uint16_t>(head));
    return true;
  }

  // Advises the device that no used buffer notifications are needed.
  void DisableCallbacks() {
    // "if the VIRTIO_F_EVENT_IDX feature bit is negotiated: The driver MUST set
    // flags to 0" (§2.7.7.1); a used_event that lies behind is advice enough.
    if (config_.event_idx) return;
    __atomic_store_n(&config_.available->flags, kAvailNoInterrupt,
                     __ATOMIC_RELAXED);
  }

  // Asks for a notification at the next used buffer. True if a buffer is used
  // already, perhaps without one: take it, do not sleep.
  bool EnableCallbacks() {
    if (config_.event_idx) {
      __atomic_store_n(UsedEvent(), next_used_, __ATOMIC_RELAXED);
    } else {
      __atomic_store_n(&config_.available->flags, 0, __ATOMIC_RELAXED);
    }
    // Full fence: pairs with the device's between its write of the used idx and
    // its reading of used_event or flags.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return HasUsed();
  }

  uint32_t free_descriptors() const { return free_descriptors_; }
  bool broken() const { return broken_; }

 private:
  static void StoreDescriptor(SplitDescriptor& descriptor, uint64_t addr,
                              uint32_t len, uint16_t flags, uint16_t next) {
    // Relaxed: exposed by the release of the available idx.
    __atomic_store_n(&descriptor.addr, addr, __ATOMIC_RELAXED);
    __atomic_store_n(&descriptor.len, len, __ATOMIC_RELAXED);
    __atomic_store_n(&descriptor.flags, flags, __ATOMIC_RELAXED);
    __atomic_store_n(&descriptor.next, next, __ATOMIC_RELAXED);
  }

  // Returns the descriptors of a buffer to the free list.
  void Free(uint16_t head) {
    const uint16_t count = config_.slots[head].count;
    uint16_t tail = head;
    for (uint16_t i = 1; i < count; ++i) tail = config_.slots[tail].next;
    config_.slots[tail].next = free_head_;
    config_.slots[head].count = 0;
    free_head_ = head;
    free_descriptors_ += count;
  }

  AliasedWord16* AvailableEntry(uint32_t slot) const {
    return reinterpret_cast<AliasedWord16*>(config_.available + 1) + slot;
  }
  AliasedWord16* UsedEvent() const { return AvailableEntry(config_.size); }
  AliasedWord16* AvailEvent() const {
    return reinterpret_cast<AliasedWord16*>(
        reinterpret_cast<SplitUsedElement*>(config_.used + 1) + config_.size);
  }

  SplitDriverConfig config_;
  uint32_t free_descriptors_;
  uint16_t next_available_ = 0;  // Modulo 2^16, as the other indices.
  uint16_t next_used_ = 0;
  uint16_t notified_ = 0;   // next_available_ at the last NeedsNotification().
  uint16_t free_head_ = 0;  // Head of the free list; `size` ends it.
  bool broken_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_
