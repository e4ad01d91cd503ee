#ifndef DEVICES_VIRTIO_NET_FILTER_ADDRESS_TABLE_H_
#define DEVICES_VIRTIO_NET_FILTER_ADDRESS_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::virtio {

// One of the two tables of virtio 1.4 §5.1.6.5.2 "Setting MAC Address
// Filtering". One that was given more addresses than it has room for contains
// every address: "it can [...] silently switch to allmulti or promiscuous mode
// if it is given too many addresses".
//
// Threads: a value type.
// Allocation: none.
class AddressTable {
 public:
  static constexpr size_t kMaxEntries = 64;
  static constexpr size_t kAddressBytes = 6;

  // Empty.
  AddressTable() = default;

  // Of addresses that lie one after the other.
  // REQUIRES: macs.size() is a multiple of kAddressBytes.
  explicit AddressTable(absl::Span<const uint8_t> macs);

  // Hot. REQUIRES: mac has kAddressBytes, at least.
  bool Contains(absl::Span<const uint8_t> mac) const;

  friend bool operator==(const AddressTable&, const AddressTable&) = default;

 private:
  bool overflowed_ = false;
  uint8_t count_ = 0;
  std::array<uint64_t, kMaxEntries> entries_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_FILTER_ADDRESS_TABLE_H_
