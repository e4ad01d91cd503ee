#include "vmm/bus/bar_windows.h"

#include "absl/strings/str_format.h"
#include "base/checked_math.h"

namespace annulus {

absl::Status BarWindows::Map(memory::GuestAddress address, uint64_t size,
                             BusDevice& device) {
  for (const Window& window : windows_) {
    if (address >= window.start &&
        RangeFits(address.value() - window.start.value(), size, window.size)) {
      return bus_.Add(address.value(), size, device);
    }
  }
  return absl::AlreadyExistsError(absl::StrFormat(
      "%#x of %u bytes is no place for a BAR", address.value(), size));
}

void BarWindows::Unmap(memory::GuestAddress address, uint64_t) {
  bus_.Remove(address.value());
}

}  // namespace annulus
