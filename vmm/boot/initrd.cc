#include "vmm/boot/initrd.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "vmm/boot/free_range.h"

namespace annulus::boot {

absl::StatusOr<AddressRange> LoadInitrd(const ImageFile& file,
                                        const KernelImage& kernel,
                                        const memory::GuestMemory& memory) {
  // Both protocols' fields have 32 bits for the address in Linux' reading. A
  // bzImage names the last byte's address, hence + 1, which cannot wrap.
  const uint64_t limit =
      std::min<uint64_t>(kernel.initrd_address_max, UINT32_MAX) + 1;
  const std::optional<memory::GuestAddress> address =
      FindFreeRange(memory, file.size(), limit, kernel.range);
  if (!address.has_value()) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: %u bytes do not fit in guest RAM below %#x beside the kernel, "
        "which needs %#x to %#x",
        file.name(), file.size(), limit, kernel.range.start.value(),
        kernel.range.end()));
  }
  ANNULUS_RETURN_IF_ERROR(file.ReadIntoGuest(0, file.size(), memory, *address));
  return AddressRange{*address, file.size()};
}

}  // namespace annulus::boot
