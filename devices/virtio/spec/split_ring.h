#ifndef DEVICES_VIRTIO_SPEC_SPLIT_RING_H_
#define DEVICES_VIRTIO_SPEC_SPLIT_RING_H_

#include <cstddef>
#include <cstdint>

// The wire layout of virtio 1.4 §2.7 "Split Virtqueues". All fields are
// little-endian. Freestanding: guests include it too.

namespace annulus::virtio {

// struct virtq_desc, §2.7.5 "The Virtqueue Descriptor Table".
struct SplitDescriptor {
  uint64_t addr = 0;   // Guest-physical address of the element.
  uint32_t len = 0;    // Bytes.
  uint16_t flags = 0;  // kSplitDesc...
  uint16_t next = 0;   // Valid if flags has kSplitDescNext.
};
static_assert(offsetof(SplitDescriptor, addr) == 0);
static_assert(offsetof(SplitDescriptor, len) == 8);
static_assert(offsetof(SplitDescriptor, flags) == 12);
static_assert(offsetof(SplitDescriptor, next) == 14);
static_assert(sizeof(SplitDescriptor) == 16);

inline constexpr uint16_t kSplitDescNext = 1;      // VIRTQ_DESC_F_NEXT
inline constexpr uint16_t kSplitDescWrite = 2;     // VIRTQ_DESC_F_WRITE
inline constexpr uint16_t kSplitDescIndirect = 4;  // VIRTQ_DESC_F_INDIRECT

// struct virtq_avail, §2.7.6 "The Virtqueue Available Ring". After it come
// Queue Size elements of le16, then le16 used_event.
struct SplitAvailableHeader {
  uint16_t flags = 0;
  uint16_t idx = 0;
};
static_assert(offsetof(SplitAvailableHeader, flags) == 0);
static_assert(offsetof(SplitAvailableHeader, idx) == 2);
static_assert(sizeof(SplitAvailableHeader) == 4);

inline constexpr uint16_t kAvailNoInterrupt = 1;  // VIRTQ_AVAIL_F_NO_INTERRUPT

// struct virtq_used, §2.7.8 "The Virtqueue Used Ring". After it come Queue Size
// elements of SplitUsedElement, then le16 avail_event.
struct SplitUsedHeader {
  uint16_t flags = 0;
  uint16_t idx = 0;
};
static_assert(offsetof(SplitUsedHeader, flags) == 0);
static_assert(offsetof(SplitUsedHeader, idx) == 2);
static_assert(sizeof(SplitUsedHeader) == 4);

inline constexpr uint16_t kUsedNoNotify = 1;  // VIRTQ_USED_F_NO_NOTIFY

// struct virtq_used_elem.
struct SplitUsedElement {
  uint32_t id = 0;   // Head of the used descriptor chain.
  uint32_t len = 0;  // Bytes written into the device-writable part.
};
static_assert(offsetof(SplitUsedElement, id) == 0);
static_assert(offsetof(SplitUsedElement, len) == 4);
static_assert(sizeof(SplitUsedElement) == 8);

// Sizes and alignments of the three areas, §2.7 "Split Virtqueues".
inline constexpr uint32_t kSplitDescriptorAlignment = 16;
inline constexpr uint32_t kSplitAvailableAlignment = 2;
inline constexpr uint32_t kSplitUsedAlignment = 4;
inline constexpr uint32_t kSplitMaxQueueSize = 1 << 15;

inline constexpr uint32_t SplitDescriptorTableBytes(uint32_t size) {
  return 16 * size;
}
inline constexpr uint32_t SplitAvailableRingBytes(uint32_t size) {
  return 6 + 2 * size;
}
inline constexpr uint32_t SplitUsedRingBytes(uint32_t size) {
  return 6 + 8 * size;
}
inline constexpr uint32_t SplitUsedEventOffset(uint32_t size) {
  return SplitAvailableRingBytes(size) - 2;  // The last field.
}
inline constexpr uint32_t SplitAvailEventOffset(uint32_t size) {
  return SplitUsedRingBytes(size) - 2;  // Likewise.
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_SPLIT_RING_H_
