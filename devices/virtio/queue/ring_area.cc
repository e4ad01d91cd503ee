#include "devices/virtio/queue/ring_area.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace annulus::virtio {

absl::StatusOr<memory::GuestSpan> MapRingArea(const memory::GuestMemory& memory,
                                              memory::GuestAddress address,
                                              uint32_t bytes,
                                              uint32_t alignment,
                                              absl::string_view name) {
  if (!address.IsAligned(alignment)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the %s at %#x is not aligned to %u", name,
                        address.value(), alignment));
  }
  const std::optional<memory::GuestSpan> span = memory.Map(address, bytes);
  if (!span.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the %s at %#x, %u bytes, is not inside guest RAM",
                        name, address.value(), bytes));
  }
  return *span;
}

void MarkRingDirty(const memory::GuestMemory& memory,
                   memory::GuestAddress first, uint32_t element_bytes,
                   uint32_t size, uint32_t slot, uint32_t count) {
  const uint32_t to_end = std::min(count, size - slot);
  memory.MarkDirty(
      memory::GuestAddress(first.value() + uint64_t{slot} * element_bytes),
      uint64_t{to_end} * element_bytes);
  if (count != to_end) {
    memory.MarkDirty(first, uint64_t{count - to_end} * element_bytes);
  }
}

}  // namespace annulus::virtio
