#ifndef DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_AVAILABLE_INL_H_
#define DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_AVAILABLE_INL_H_

// split_driver.h up to where the device has a buffer. Included from there only.
// Citations are of virtio 1.4.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/split_driver.h"  // IWYU pragma: keep
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/shared_access.h"

namespace annulus::virtio {

inline void SplitDriver::Reset() {
  for (uint32_t i = 0; i < config_.size; ++i) {
    config_.slots[i] = {
        .next = static_cast<uint16_t>(i + 1 == config_.size ? 0 : i + 1)};
    memory::SharedStore(AvailableEntry(i), 0, __ATOMIC_RELAXED);
  }
  memory::SharedStore(&config_.available->flags, 0, __ATOMIC_RELAXED);
  memory::SharedStore(&config_.available->idx, 0, __ATOMIC_RELAXED);
  memory::SharedStore(UsedEvent(), 0, __ATOMIC_RELAXED);
  // "The driver MUST initialize flags in the used ring to 0 when allocating the
  // used ring." (§2.7.10.1)
  memory::SharedStore(&config_.used->flags, 0, __ATOMIC_RELAXED);
  memory::SharedStore(&config_.used->idx, 0, __ATOMIC_RELAXED);
  memory::SharedStore(AvailEvent(), 0, __ATOMIC_RELAXED);
  free_descriptors_ = config_.size;
  next_available_ = exposed_ = notified_ = 0;
  next_used_ = free_head_ = oldest_ = 0;
  batch_last_ = kNoDriverBuffer;
  state_ = config_.in_order ? DriverState::kInOrder : DriverState::kAnyOrder;
}

inline void SplitDriver::StoreDescriptor(SplitDescriptor& descriptor,
                                         DriverElement element,
                                         uint16_t flags) {
  // Relaxed: exposed by the release of the available idx.
  memory::SharedStore(&descriptor.addr, element.addr, __ATOMIC_RELAXED);
  memory::SharedStore(&descriptor.len, element.len, __ATOMIC_RELAXED);
  memory::SharedStore(&descriptor.flags, flags, __ATOMIC_RELAXED);
}

// Hot. All of a buffer but the index that shows it. In order, the free list is
// never reordered, so that descriptors are used "in ring order: starting from
// offset 0 in the table, and wrapping around at the end of the table" (§2.7.5).
inline bool SplitDriver::Fill(const DriverElement* readable,
                              uint32_t readable_count,
                              const DriverElement* writable,
                              uint32_t writable_count, uint16_t& id) {
  if (readable_count + writable_count != 1) [[unlikely]] {
    return FillMany(readable, readable_count, writable, writable_count, id);
  }
  if (free_descriptors_ == 0) [[unlikely]] {
    return false;
  }
  id = free_head_;
  const bool write = writable_count != 0;
  const DriverElement element = write ? *writable : *readable;
  StoreDescriptor(config_.descriptors[id], element,
                  write ? kSplitDescWrite : 0);
  free_head_ = config_.slots[id].next;
  PutAvailable(id, 1, write ? element.len : 0);
  return true;
}

// Of none or several elements.
inline bool SplitDriver::FillMany(const DriverElement* readable,
                                  uint32_t readable_count,
                                  const DriverElement* writable,
                                  uint32_t writable_count, uint16_t& id) {
  const uint32_t elements = readable_count + writable_count;
  const bool indirect = config_.indirect_tables != nullptr &&
                        elements <= config_.indirect_entries;
  const uint32_t needed = indirect ? 1 : elements;
  // "A driver MUST NOT create a descriptor chain longer than the Queue Size of
  // the device." (§2.7.5.3.1) That goes for tables, too.
  if (elements == 0 || elements > config_.size || needed > free_descriptors_) {
    return false;
  }
  const uint16_t head = free_head_;
  SplitDescriptor* table = config_.descriptors;
  uint16_t index = head;
  if (indirect) {
    const uint32_t entry = uint32_t{head} * config_.indirect_entries;
    const DriverElement element = {
        .addr = config_.indirect_tables_addr +
                uint64_t{entry} * sizeof(SplitDescriptor),
        .len = elements * static_cast<uint32_t>(sizeof(SplitDescriptor))};
    StoreDescriptor(table[head], element, kSplitDescIndirect);
    free_head_ = config_.slots[head].next;
    table = config_.indirect_tables + entry;
    index = 0;
  }
  uint32_t writable_bytes = 0;
  for (uint32_t i = 0; i < elements; ++i) {
    const bool write = i >= readable_count;
    const bool last = i + 1 == elements;
    const DriverElement& element =
        write ? writable[i - readable_count] : readable[i];
    if (write) writable_bytes += element.len;
    // In order too, the next descriptor is that of the free list: x + 1, and 0
    // after the last of the table (§2.7.5.2).
    const uint16_t next =
        indirect ? static_cast<uint16_t>(index + 1) : config_.slots[index].next;
    StoreDescriptor(table[index], element,
                    static_cast<uint16_t>((write ? kSplitDescWrite : 0) |
                                          (last ? 0 : kSplitDescNext)));
    memory::SharedStore(&table[index].next, last ? uint16_t{0} : next,
                        __ATOMIC_RELAXED);
    index = next;
  }
  if (!indirect) free_head_ = index;
  PutAvailable(head, needed, writable_bytes);
  id = head;
  return true;
}

inline void SplitDriver::PutAvailable(uint16_t head, uint32_t count,
                                      uint32_t writable_bytes) {
  DriverSlot& slot = config_.slots[head];
  slot.count = static_cast<uint16_t>(count);
  slot.writable_bytes = writable_bytes;
  free_descriptors_ -= count;
  const uint64_t index = next_available_++;
  // Relaxed: exposed by the release of idx.
  memory::SharedStore(
      AvailableEntry(static_cast<uint32_t>(index) & (config_.size - 1u)), head,
      __ATOMIC_RELAXED);
}

inline void SplitDriver::ExposeAll() {
  exposed_ = next_available_;
  // Release: pairs with the device's acquire of the available idx.
  memory::SharedStore(&config_.available->idx,
                      static_cast<uint16_t>(next_available_), __ATOMIC_RELEASE);
}

inline bool SplitDriver::NeedsNotification() {
  Expose();
  const uint64_t added = next_available_ - notified_;
  if (added == 0) return false;
  notified_ = next_available_;
  // Full fence: pairs with the device's between its write of avail_event or
  // flags and its second look at idx.
  memory::FullFence();
  if (config_.event_idx) {
    // Beyond 2^16 every event was passed.
    return added > UINT16_MAX ||
           EventIndexPassed(memory::SharedLoad(AvailEvent(), __ATOMIC_RELAXED),
                            static_cast<uint16_t>(next_available_),
                            static_cast<uint16_t>(next_available_ - added));
  }
  return (memory::SharedLoad(&config_.used->flags, __ATOMIC_RELAXED) &
          kUsedNoNotify) == 0;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_AVAILABLE_INL_H_
