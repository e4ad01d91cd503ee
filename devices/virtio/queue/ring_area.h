#ifndef DEVICES_VIRTIO_QUEUE_RING_AREA_H_
#define DEVICES_VIRTIO_QUEUE_RING_AREA_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// Maps one of the three areas of a virtqueue (virtio 1.4 §2.6 "Virtqueues").
// Cold. InvalidArgument, naming the area, if it is not aligned or not wholly
// inside one region of guest RAM.
absl::StatusOr<memory::GuestSpan> MapRingArea(const memory::GuestMemory& memory,
                                              memory::GuestAddress address,
                                              uint32_t bytes,
                                              uint32_t alignment,
                                              absl::string_view name);

// Marks `count` elements of a ring, from `slot` on and around its end, in the
// dirty log. `first` is where element 0 of the `size` lies, in an area that was
// mapped, so that no sum wraps. REQUIRES: slot < size, count <= size.
ABSL_ATTRIBUTE_COLD void MarkRingDirty(const memory::GuestMemory& memory,
                                       memory::GuestAddress first,
                                       uint32_t element_bytes, uint32_t size,
                                       uint32_t slot, uint32_t count);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_RING_AREA_H_
