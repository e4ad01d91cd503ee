#ifndef VMM_BOOT_WIRE_BYTES_H_
#define VMM_BOOT_WIRE_BYTES_H_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "vmm/boot/image_file.h"

namespace annulus::boot {

// A wire structure as the bytes that it consists of, and back. No pointer into
// it is ever cast.

template <typename T>
std::array<uint8_t, sizeof(T)> ToBytes(const T& wire) {
  return std::bit_cast<std::array<uint8_t, sizeof(T)>>(wire);
}

// REQUIRES: `bytes` has sizeof(T) bytes at least.
template <typename T>
T FromBytes(absl::Span<const uint8_t> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  T wire;
  std::memcpy(&wire, bytes.data(), sizeof(wire));
  return wire;
}

// The bytes of an array of wire structures, to be read into.
template <typename T>
absl::Span<uint8_t> WritableBytes(std::vector<T>& array) {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(array.data()),
                        array.size() * sizeof(T));
}

template <typename T>
absl::StatusOr<T> ReadWire(const ImageFile& file, uint64_t offset) {
  std::array<uint8_t, sizeof(T)> bytes;
  ANNULUS_RETURN_IF_ERROR(file.ReadAt(offset, absl::MakeSpan(bytes)));
  return std::bit_cast<T>(bytes);
}

}  // namespace annulus::boot

#endif  // VMM_BOOT_WIRE_BYTES_H_
