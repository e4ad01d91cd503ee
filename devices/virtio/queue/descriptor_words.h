#ifndef DEVICES_VIRTIO_QUEUE_DESCRIPTOR_WORDS_H_
#define DEVICES_VIRTIO_QUEUE_DESCRIPTOR_WORDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_span.h"
#include "memory/little_endian.h"

namespace annulus::virtio {

inline constexpr size_t kDescriptorBytes = 16;
static_assert(sizeof(SplitDescriptor) == kDescriptorBytes);
static_assert(sizeof(PackedDescriptor) == kDescriptorBytes);

// One descriptor of either format, copied out of guest memory once: whatever
// the driver does to the original from now on changes nothing here.
//
// Trust: the values are guest-controlled.
struct DescriptorWords {
  uint64_t addr = 0;
  uint64_t rest = 0;  // len, then two fields of 16 bits in the format's order.

  uint32_t len() const { return static_cast<uint32_t>(rest); }

  uint16_t split_flags() const { return static_cast<uint16_t>(rest >> 32); }
  uint16_t split_next() const { return static_cast<uint16_t>(rest >> 48); }

  uint16_t packed_id() const { return static_cast<uint16_t>(rest >> 32); }
  uint16_t packed_flags() const { return static_cast<uint16_t>(rest >> 48); }
};

// "the driver sets the VIRTQ_DESC_F_AVAIL bit in Flags to match the internal
// Driver Ring Wrap Counter. It also sets the VIRTQ_DESC_F_USED bit to match the
// inverse value" (virtio 1.4 §2.8.1)
constexpr bool IsPackedAvailable(uint16_t flags, bool wrap) {
  return (flags & (kPackedDescAvail | kPackedDescUsed)) ==
         (wrap ? kPackedDescAvail : kPackedDescUsed);
}

// Hot. Descriptor `index` of a descriptor ring or table, which the caller has
// mapped at an alignment of 16 and bounds-checked. Relaxed: ordered by the
// caller's acquire of what made the descriptor available.
inline DescriptorWords LoadDescriptor(const memory::GuestSpan& ring,
                                      size_t index) {
  const size_t offset = index * kDescriptorBytes;
  return {
      .addr = ring.Load<uint64_t>(offset, std::memory_order_relaxed),
      .rest = ring.Load<uint64_t>(offset + 8, std::memory_order_relaxed),
  };
}

// The same for an indirect table, to which the specification gives no
// alignment: one that is not aligned to 8 is copied bytewise.
inline DescriptorWords LoadIndirectDescriptor(const memory::GuestSpan& table,
                                              bool aligned, size_t index) {
  if (aligned) return LoadDescriptor(table, index);
  uint8_t bytes[kDescriptorBytes];
  table.CopyOut(index * kDescriptorBytes, absl::MakeSpan(bytes));
  memory::Le64 words[2];
  static_assert(sizeof(words) == sizeof(bytes));
  __builtin_memcpy(static_cast<void*>(words), bytes, sizeof(bytes));
  return {.addr = words[0], .rest = words[1]};
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_DESCRIPTOR_WORDS_H_
