#ifndef DEVICES_VIRTIO_TRANSPORT_REGISTER_BYTES_H_
#define DEVICES_VIRTIO_TRANSPORT_REGISTER_BYTES_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::virtio {

// Between a register's value and the bytes of a bus access, at most four of
// them, little-endian (virtio 1.4 §1.4 "Structure Specifications").

inline uint32_t LoadRegister(absl::Span<const uint8_t> data) {
  uint32_t value = 0;
  for (size_t i = 0; i < data.size() && i < sizeof(value); ++i) {
    value |= uint32_t{data[i]} << (8 * i);
  }
  return value;
}

// Bytes beyond the fourth become 0.
inline void StoreRegister(uint32_t value, absl::Span<uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = i < sizeof(value) ? static_cast<uint8_t>(value >> (8 * i)) : 0;
  }
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_REGISTER_BYTES_H_
