#ifndef DEVICES_VIRTIO_QUEUE_VIOLATION_H_
#define DEVICES_VIRTIO_QUEUE_VIOLATION_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/status.h"

namespace annulus::virtio {

// How a driver broke the rules of its queue. The first one is latched in the
// queue, which from then on pops nothing.
enum class Violation : uint8_t {
  kNone,
  kAvailableIndexJumped,   // Split: more heads than descriptors, or backwards.
  kHeadOutOfRange,         // Split: a head at or beyond the queue size.
  kNextOutOfRange,         // Split: next at or beyond the end of its table.
  kChainTooLong,           // More descriptors than the queue size.
  kChainTooLarge,          // More than 2^32 - 1 bytes.
  kElementOutsideRam,      // An element is not wholly inside guest RAM.
  kReadableAfterWritable,  // Wrong order of elements.
  kIndirectNotNegotiated,  // INDIRECT without VIRTIO_F_INDIRECT_DESC.
  kIndirectWithNext,       // INDIRECT linked with NEXT.
  kIndirectNested,         // Split: INDIRECT inside an indirect table.
  kIndirectTableLength,    // Table of 0 bytes or not a multiple of 16.
  kIndirectTableOutsideRam,  // Table not wholly inside guest RAM.
  kTooManyInFlight,          // Packed: available again before it was used.
  kChainIncomplete,          // Packed: head available before the rest.
  kLast = kChainIncomplete,
};

// FailedPrecondition with a sentence for people; OK for kNone.
ABSL_ATTRIBUTE_COLD absl::Status ViolationToStatus(Violation violation);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_VIOLATION_H_
