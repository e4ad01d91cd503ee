#include "devices/virtio/net/filter/address_table.h"

#include <cstring>

#include "base/check.h"

namespace annulus::virtio {
namespace {

// An address as one number; only equality matters.
uint64_t Packed(absl::Span<const uint8_t> mac) {
  uint64_t packed = 0;
  std::memcpy(&packed, mac.data(), AddressTable::kAddressBytes);
  return packed;
}

}  // namespace

AddressTable::AddressTable(absl::Span<const uint8_t> macs) {
  ANNULUS_CHECK(macs.size() % kAddressBytes == 0);
  const size_t count = macs.size() / kAddressBytes;
  if (count > kMaxEntries) {
    overflowed_ = true;
    return;
  }
  count_ = static_cast<uint8_t>(count);
  for (size_t i = 0; i < count; ++i) {
    entries_[i] = Packed(macs.subspan(i * kAddressBytes, kAddressBytes));
  }
}

// Hot.
bool AddressTable::Contains(absl::Span<const uint8_t> mac) const {
  ANNULUS_DCHECK(mac.size() >= kAddressBytes);
  if (overflowed_) return true;
  const uint64_t packed = Packed(mac);
  for (size_t i = 0; i < count_; ++i) {
    if (entries_[i] == packed) return true;
  }
  return false;
}

}  // namespace annulus::virtio
