#include "devices/pci/bar_mapping.h"

namespace annulus::pci {

void BarMapping::Move(std::optional<memory::GuestAddress> wanted) {
  if (wanted == address_) return;
  if (address_.has_value()) {
    mapper_.Unmap(*address_, size_);
    address_.reset();
  }
  // While a guest sizes a BAR with decoding on, or moves it half by half, the
  // address may be anything, also at the end of the address space.
  if (wanted.has_value() && wanted->CheckedAdd(size_).has_value() &&
      mapper_.Map(*wanted, size_, device_).ok()) {
    address_ = wanted;
  }
}

}  // namespace annulus::pci
