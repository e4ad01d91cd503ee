#include "devices/virtio/queue/ring_area.h"

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

}  // namespace annulus::virtio
