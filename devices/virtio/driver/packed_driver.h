#ifndef DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_
#define DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/queue/event_suppression.h"
#include "devices/virtio/spec/notification_data.h"
#include "devices/virtio/spec/packed_ring.h"

namespace annulus::virtio {

// Where a PackedDriver finds its memory. All of it outlives the driver.
struct PackedDriverConfig {
  PackedDescriptor* ring = nullptr;                // Aligned to 16.
  PackedEventSuppression* driver_event = nullptr;  // Aligned to 4.
  PackedEventSuppression* device_event = nullptr;  // Aligned to 4.
  uint16_t size = 0;                               // Descriptors, 1 to 32768.
  bool event_idx = false;       // VIRTIO_F_EVENT_IDX was negotiated.
  bool in_order = false;        // VIRTIO_F_IN_ORDER was negotiated.
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
  explicit PackedDriver(const PackedDriverConfig& config) : config_(config) {
    Reset();
  }

  // Hot. Makes one buffer available: `readable_count` elements for the device
  // to read, then `writable_count` for it to write. Returns its id, which
  // GetUsed() gives back, or kNoDriverBuffer: no room, or no element at all.
  // Inline always, for compilers find the case of several elements too long.
  [[gnu::always_inline]] uint16_t Add(const DriverElement* readable,
                                      uint32_t readable_count,
                                      const DriverElement* writable,
                                      uint32_t writable_count) {
    uint16_t id;
    FirstDescriptor first;
    if (!Fill(readable, readable_count, writable, writable_count, id, first)) {
      return kNoDriverBuffer;
    }
    if (hidden_) [[unlikely]] {
      Hide(first);
      Expose();
    } else {
      Expose(first);
    }
    return id;
  }

  // Hot. As Add(), but the device sees none of the batch before Expose(), which
  // is to follow before any other function but this one and NeedsNotification()
  // (it exposes too).
  uint16_t AddBatched(const DriverElement* readable, uint32_t readable_count,
                      const DriverElement* writable, uint32_t writable_count) {
    uint16_t id;
    FirstDescriptor first;
    if (!Fill(readable, readable_count, writable, writable_count, id, first)) {
      return kNoDriverBuffer;
    }
    Hide(first);
    return id;
  }
  void Expose() {
    if (!hidden_) return;
    hidden_ = false;
    Expose(hidden_first_);
  }

  // Hot. True if the device wants an available buffer notification for what was
  // added since the last call (§2.8.21.2 "Sending Available Buffer
  // Notifications").
  bool NeedsNotification();

  // What such a notification carries with VIRTIO_F_NOTIFICATION_DATA (§2.9
  // "Driver Notifications"), in host order. `queue` is the virtqueue index, or
  // the vq_notif_config_data of VIRTIO_F_NOTIF_CONFIG_DATA.
  uint32_t NotificationData(uint16_t queue) const {
    const PackedPosition next = next_available();
    return EncodeNotificationData(
        {.vq_index = queue, .next_off = next.offset, .next_wrap = next.wrap});
  }

  // Hot. True if GetUsed() has something to look at.
  bool HasUsed() const;

  // Hot. Takes the next used buffer. False: there is none, or broken().
  //
  // With VIRTIO_F_IN_ORDER the device may skip buffers. Those "are assumed to
  // have been used (read or written) by the device completely" (§2.8.8), so
  // *len is then all that was writable.
  [[gnu::always_inline]] bool GetUsed(uint16_t* id, uint32_t* len);

  // Advises the device that no used buffer notifications are needed.
  void DisableCallbacks() { StoreDriverEvent(0, kRingEventFlagsDisable); }

  // Each of the following asks for a notification; true means that what it
  // waits for has happened already, perhaps without one: call GetUsed(), do not
  // sleep.
  //
  // At the next used buffer.
  bool EnableCallbacks();
  // At every one, until this changes. RING_EVENT_FLAGS_ENABLE is allowed where
  // VIRTIO_F_EVENT_IDX was negotiated, too (§2.8.10).
  bool EnableEveryCallback();
  // Once most of the descriptors now in flight, 3 of 4, were used. The same as
  // EnableCallbacks() without VIRTIO_F_EVENT_IDX.
  bool EnableCallbacksDelayed();

  // Takes back, one by one, the buffers that the device has not used; false:
  // there is none left. REQUIRES: the device, or this queue of it, was reset
  // (§2.6.1 "Virtqueue Reset"), and GetUsed() has taken what was used. Nothing
  // works from then on until Reset().
  bool DetachUnused(uint16_t* id);

  // Begins anew with an empty ring. REQUIRES: as DetachUnused(). Buffers still
  // in flight are forgotten.
  void Reset();

  uint32_t free_descriptors() const { return free_descriptors_; }
  bool broken() const { return state_ == DriverState::kBroken; }

 private:
  static constexpr uint16_t kAvailUsed = kPackedDescAvail | kPackedDescUsed;

  bool Break() {
    state_ = DriverState::kBroken;
    return false;
  }

  // Length, id and flags of a descriptor lie in one aligned word. They are
  // written together, and read together.
  static AliasedWord64* WordOf(PackedDescriptor& descriptor) {
    return reinterpret_cast<AliasedWord64*>(&descriptor.len);
  }
  static constexpr uint64_t ToWord(uint32_t len, uint16_t id, uint16_t flags) {
    return len | uint64_t{id} << 32 | uint64_t{flags} << 48;
  }

  // Of a buffer, or of a batch of them, the descriptor whose flags the device
  // looks at before all others. Its address is in place, its word is not.
  struct FirstDescriptor {
    uint32_t slot = 0;
    uint64_t word = 0;
  };

  // Where the next descriptor goes, and where the device writes the next used
  // one.
  PackedPosition next_available() const {
    return {static_cast<uint16_t>(available_slot_),
            (available_flags_ & kPackedDescAvail) != 0};
  }
  PackedPosition next_used() const {
    return {static_cast<uint16_t>(used_slot_), used_flags_ != 0};
  }

  bool InFlight(uint16_t id) const {
    return id < config_.size && config_.slots[id].count != 0;
  }

  static void StoreDescriptor(PackedDescriptor& descriptor, uint64_t addr,
                              uint64_t word);
  void StoreDriverEvent(uint16_t desc, uint16_t flags);

  bool Fill(const DriverElement* readable, uint32_t readable_count,
            const DriverElement* writable, uint32_t writable_count,
            uint16_t& id, FirstDescriptor& first);
  bool FillMany(const DriverElement* readable, uint32_t readable_count,
                const DriverElement* writable, uint32_t writable_count,
                uint16_t& id, FirstDescriptor& first);
  uint16_t TakeId(uint32_t count);
  FirstDescriptor Place(DriverElement element, uint16_t id, uint16_t kind);
  void Hide(FirstDescriptor first);
  void Expose(FirstDescriptor first);
  void PrefetchNextLine() const;
  void AdvanceUsed(uint32_t count);
  bool GetUsedInOrder(uint16_t* id, uint32_t* len);
  static uint32_t UsedLength(uint64_t word);
  uint32_t DescriptorsUsedBy(PackedPosition position, uint16_t id) const;
  bool UsedDescriptorsReach(uint32_t wanted) const;

  PackedDriverConfig config_;
  // The two positions, with the bits AVAIL and USED that a descriptor has which
  // is made available, or used, there: what the ring wrap counters are for.
  uint32_t available_slot_ = 0;
  uint32_t used_slot_ = 0;
  uint16_t available_flags_ = kPackedDescAvail;
  uint16_t used_flags_ = kAvailUsed;
  uint32_t free_descriptors_ = 0;
  uint16_t free_id_ = 0;  // Head of the free list.
  uint64_t added_ = 0;    // Descriptors since the last NeedsNotification().

  // The batch that Expose() will show: all of it is in place but its first
  // descriptor's word, which hides the rest from a device that reads in ring
  // order.
  bool hidden_ = false;
  FirstDescriptor hidden_first_;

  // In order: the buffer that the last used descriptor named, while buffers
  // before it are being given back. Else kNoDriverBuffer.
  uint16_t batch_last_ = kNoDriverBuffer;
  uint32_t batch_len_ = 0;

  DriverState state_ = DriverState::kAnyOrder;
};

}  // namespace annulus::virtio

#include "devices/virtio/driver/packed_driver_available_inl.h"  // IWYU pragma: export
#include "devices/virtio/driver/packed_driver_used_inl.h"  // IWYU pragma: export

#endif  // DEVICES_VIRTIO_DRIVER_PACKED_DRIVER_H_
