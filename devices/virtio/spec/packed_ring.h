#ifndef DEVICES_VIRTIO_SPEC_PACKED_RING_H_
#define DEVICES_VIRTIO_SPEC_PACKED_RING_H_

#include <cstddef>
#include <cstdint>

// The wire layout of virtio 1.4 §2.8 "Packed Virtqueues". All fields are
// little-endian. Freestanding: guests include it too.

namespace annulus::virtio {

// struct pvirtq_desc, §2.8.13 "The Virtqueue Descriptor Format".
struct PackedDescriptor {
  uint64_t addr = 0;   // Guest-physical address of the element.
  uint32_t len = 0;    // Bytes; in a used descriptor the bytes written.
  uint16_t id = 0;     // Buffer ID, valid in the last descriptor of a list.
  uint16_t flags = 0;  // kPackedDesc...
};
static_assert(offsetof(PackedDescriptor, addr) == 0);
static_assert(offsetof(PackedDescriptor, len) == 8);
static_assert(offsetof(PackedDescriptor, id) == 12);
static_assert(offsetof(PackedDescriptor, flags) == 14);
static_assert(sizeof(PackedDescriptor) == 16);

inline constexpr uint16_t kPackedDescNext = 1;        // VIRTQ_DESC_F_NEXT
inline constexpr uint16_t kPackedDescWrite = 2;       // VIRTQ_DESC_F_WRITE
inline constexpr uint16_t kPackedDescIndirect = 4;    // VIRTQ_DESC_F_INDIRECT
inline constexpr uint16_t kPackedDescAvail = 1 << 7;  // VIRTQ_DESC_F_AVAIL
inline constexpr uint16_t kPackedDescUsed = 1 << 15;  // VIRTQ_DESC_F_USED

// struct pvirtq_event_suppress, §2.8.14 "Event Suppression Structure Format".
struct PackedEventSuppression {
  uint16_t desc = 0;   // Bits 0-14 offset in the ring, bit 15 wrap counter.
  uint16_t flags = 0;  // kRingEventFlags... in bits 0-1, the rest reserved.
};
static_assert(offsetof(PackedEventSuppression, desc) == 0);
static_assert(offsetof(PackedEventSuppression, flags) == 2);
static_assert(sizeof(PackedEventSuppression) == 4);

inline constexpr uint16_t kPackedEventWrap = 1 << 15;   // desc_event_wrap
inline constexpr uint16_t kPackedEventOffset = 0x7fff;  // desc_event_off

inline constexpr uint16_t kRingEventFlagsMask = 3;
inline constexpr uint16_t kRingEventFlagsEnable = 0;  // RING_EVENT_FLAGS_ENABLE
inline constexpr uint16_t kRingEventFlagsDisable =
    1;                                              // RING_EVENT_FLAGS_DISABLE
inline constexpr uint16_t kRingEventFlagsDesc = 2;  // RING_EVENT_FLAGS_DESC

// §2.8.10.1 "Structure Size and Alignment".
inline constexpr uint32_t kPackedRingAlignment = 16;
inline constexpr uint32_t kPackedEventAlignment = 4;
inline constexpr uint32_t kPackedMaxQueueSize = 1 << 15;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_PACKED_RING_H_
