#ifndef DEVICES_VIRTIO_DRIVER_HEADER_SLOT_RING_H_
#define DEVICES_VIRTIO_DRIVER_HEADER_SLOT_RING_H_

#include <cstdint>

#include "memory/shared_access.h"

// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

// Where a HeaderSlotRing finds its memory. All of it outlives the ring.
struct HeaderSlotRingConfig {
  const uint8_t* slots = nullptr;  // As the driver sees buf_base.
  uint16_t* tail = nullptr;        // As the driver sees tail_addr.
  uint16_t id = 0;                 // As in CREATE, as the next two.
  uint16_t slot_bytes = 0;
  uint16_t log_slots = 0;        // Up to 15.
  uint8_t* in_driver = nullptr;  // 1 << log_slots, private to the driver.
};

// Driver side of a queue of header buffers (method Q of header-split receive,
// docs/header_split.md): which slots the device may write to, and which of them
// the driver still reads.
//
// The device takes slots in the order of their free-running index and names the
// one that a packet has. Packets may come, and be released, in any order; the
// slots go back to the device in index order, so one that is kept for long
// holds up those behind it. The device splits nothing meanwhile, and nothing is
// lost.
//
// Several receive queues may share one ring, if one thread serves them all.
//
// Threads: thread-compatible.
// Trust: the index is the device's: Take() checks it. The bytes of a slot are
//   the driver's until Release(), but for a device that does not obey: copy
//   them before they are judged.
// Allocation: none.
class HeaderSlotRing {
 public:
  // All slots are the device's from the first Publish() on, which is the
  // constructor's. REQUIRES: the device does not use the queue yet.
  explicit HeaderSlotRing(const HeaderSlotRingConfig& config)
      : config_(config) {
    Reset();
  }

  uint16_t id() const { return config_.id; }
  uint16_t slot_bytes() const { return config_.slot_bytes; }
  uint32_t slots() const { return uint32_t{1} << config_.log_slots; }

  // Hot. The header in the slot that a packet names. Null: the device cannot
  // have this slot, be it of another lap or named twice.
  const uint8_t* Take(uint16_t index) {
    // It can have those from the oldest that was not given back since to the
    // last that it was shown.
    const uint16_t oldest = static_cast<uint16_t>(tail_ - slots());
    if (static_cast<uint16_t>(index - oldest) >=
        static_cast<uint16_t>(published_ - oldest)) {
      return nullptr;
    }
    const uint32_t slot = SlotOf(index);
    if (config_.in_driver[slot] != kDevice) return nullptr;
    config_.in_driver[slot] = kTaken;
    return config_.slots + uint64_t{slot} * config_.slot_bytes;
  }

  // Hot. The driver is done with it. REQUIRES: Take() gave it, once.
  void Release(uint16_t index) {
    config_.in_driver[SlotOf(index)] = kReleased;
    // tail - N, the oldest, lies where tail will.
    while (config_.in_driver[SlotOf(tail_)] == kReleased) {
      config_.in_driver[SlotOf(tail_)] = kDevice;
      ++tail_;
    }
  }

  // Hot. Shows the device what was released. It is not notified.
  void Publish() {
    if (tail_ == published_) return;
    published_ = tail_;
    // Release: pairs with the device's acquire of tail, so that it does not
    // write to a slot before the driver has read it.
    memory::SharedStore(config_.tail, tail_, __ATOMIC_RELEASE);
  }

  // As new. REQUIRES: as the constructor; the device has forgotten its head.
  void Reset() {
    for (uint32_t i = 0; i < slots(); ++i) config_.in_driver[i] = kDevice;
    tail_ = static_cast<uint16_t>(slots());
    published_ = 0;
    Publish();
  }

 private:
  static constexpr uint8_t kDevice = 0;
  static constexpr uint8_t kTaken = 1;
  static constexpr uint8_t kReleased = 2;

  uint32_t SlotOf(uint16_t index) const { return index & (slots() - 1); }

  HeaderSlotRingConfig config_;
  uint16_t tail_ = 0;  // Free-running.
  uint16_t published_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_HEADER_SLOT_RING_H_
