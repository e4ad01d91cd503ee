#ifndef DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_
#define DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/spec/notification_data.h"
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
  bool in_order = false;            // VIRTIO_F_IN_ORDER was negotiated.
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
  explicit SplitDriver(const SplitDriverConfig& config) : config_(config) {
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
    if (!Fill(readable, readable_count, writable, writable_count, id)) {
      return kNoDriverBuffer;
    }
    ExposeAll();
    return id;
  }

  // Hot. As Add(), but the device sees none of the batch before Expose(), which
  // is to follow before any other function but this one and NeedsNotification()
  // (it exposes too).
  uint16_t AddBatched(const DriverElement* readable, uint32_t readable_count,
                      const DriverElement* writable, uint32_t writable_count) {
    uint16_t id;
    return Fill(readable, readable_count, writable, writable_count, id)
               ? id
               : kNoDriverBuffer;
  }
  void Expose() {
    if (exposed_ != next_available_) ExposeAll();
  }

  // Hot. True if the device wants an available buffer notification for what was
  // added since the last call (§2.7.10 "Available Buffer Notification
  // Suppression").
  bool NeedsNotification();

  // What such a notification carries with VIRTIO_F_NOTIFICATION_DATA (§2.9
  // "Driver Notifications"), in host order. `queue` is the virtqueue index, or
  // the vq_notif_config_data of VIRTIO_F_NOTIF_CONFIG_DATA.
  uint32_t NotificationData(uint16_t queue) const {
    // Offset and wrap counter together are the available index.
    return EncodeNotificationData(
        {.vq_index = queue,
         .next_off = static_cast<uint16_t>(next_available_ & 0x7fff),
         .next_wrap = (next_available_ >> 15 & 1) != 0});
  }

  // Hot. True if GetUsed() has something to look at.
  bool HasUsed() const;

  // Hot. Takes the next used buffer. False: there is none, or broken().
  //
  // With VIRTIO_F_IN_ORDER the device may skip buffers. Those "are assumed to
  // have been used (read or written) by the device completely" (§2.7.9), so
  // *len is then all that was writable.
  [[gnu::always_inline]] bool GetUsed(uint16_t* id, uint32_t* len);

  // Advises the device that no used buffer notifications are needed.
  void DisableCallbacks();

  // Both ask for a notification; true means that what they wait for has
  // happened already, perhaps without one: call GetUsed(), do not sleep.
  //
  // At the next used buffer.
  bool EnableCallbacks();
  // Once most of the buffers now in flight, 3 of 4, were used. The same as
  // EnableCallbacks() without VIRTIO_F_EVENT_IDX.
  bool EnableCallbacksDelayed();

  // Takes back, one by one, the buffers that the device has not used; false:
  // there is none left. REQUIRES: the device, or this queue of it, was reset
  // (§2.6.1 "Virtqueue Reset"), and GetUsed() has taken what was used. Nothing
  // works from then on until Reset().
  bool DetachUnused(uint16_t* id);

  // Begins anew with empty rings. REQUIRES: as DetachUnused(). Buffers still in
  // flight are forgotten.
  void Reset();

  uint32_t free_descriptors() const { return free_descriptors_; }
  bool broken() const { return state_ == DriverState::kBroken; }

 private:
  bool InFlight(uint32_t id) const {
    return id < config_.size && config_.slots[id].count != 0;
  }

  bool Break() {
    state_ = DriverState::kBroken;
    return false;
  }

  static void StoreDescriptor(SplitDescriptor& descriptor,
                              DriverElement element, uint16_t flags);

  bool Fill(const DriverElement* readable, uint32_t readable_count,
            const DriverElement* writable, uint32_t writable_count,
            uint16_t& id);
  bool FillMany(const DriverElement* readable, uint32_t readable_count,
                const DriverElement* writable, uint32_t writable_count,
                uint16_t& id);
  void PutAvailable(uint16_t head, uint32_t count, uint32_t writable_bytes);
  void ExposeAll();
  bool GetUsedInOrder(uint16_t* id, uint32_t* len);
  void Free(uint16_t head);

  AliasedWord16* AvailableEntry(uint32_t slot) const {
    return reinterpret_cast<AliasedWord16*>(config_.available + 1) + slot;
  }
  const SplitUsedElement* NextUsedElement() const {
    return reinterpret_cast<const SplitUsedElement*>(config_.used + 1) +
           (next_used_ & (config_.size - 1));
  }
  AliasedWord16* UsedEvent() const { return AvailableEntry(config_.size); }
  AliasedWord16* AvailEvent() const {
    return reinterpret_cast<AliasedWord16*>(
        reinterpret_cast<SplitUsedElement*>(config_.used + 1) + config_.size);
  }

  SplitDriverConfig config_;
  uint32_t free_descriptors_ = 0;
  // The ring has it modulo 2^16. That would not do for notified_: 2^16 buffers
  // without a question would look like none.
  uint64_t next_available_ = 0;
  uint64_t exposed_ = 0;    // next_available_ as the device sees it.
  uint64_t notified_ = 0;   // next_available_ at the last NeedsNotification().
  uint16_t next_used_ = 0;  // Modulo 2^16.
  uint16_t free_head_ = 0;  // Head of the free list.

  // In order: the head of the oldest buffer in flight, and of the one that the
  // last used element named, while buffers before it are being given back
  // (else kNoDriverBuffer).
  uint16_t oldest_ = 0;
  uint16_t batch_last_ = kNoDriverBuffer;
  uint32_t batch_len_ = 0;

  DriverState state_ = DriverState::kAnyOrder;
};

}  // namespace annulus::virtio

#include "devices/virtio/driver/split_driver_available_inl.h"  // IWYU pragma: export
#include "devices/virtio/driver/split_driver_used_inl.h"  // IWYU pragma: export

#endif  // DEVICES_VIRTIO_DRIVER_SPLIT_DRIVER_H_
