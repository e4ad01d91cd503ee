#ifndef MEMORY_LITTLE_ENDIAN_H_
#define MEMORY_LITTLE_ENDIAN_H_

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace annulus::memory {

// Converts between host order and the little-endian order of virtio 1.4 §1.4
// "Structure Specifications". Free on x86.
template <std::unsigned_integral T>
constexpr T LittleEndian(T value) {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else {
    return __builtin_bswap64(value);
  }
}

// An unsigned integer as it lies in a little-endian wire structure. Alignment
// 1, so that structures of them have exactly the specified offsets. It holds
// bytes that were already copied out of guest memory.
template <std::unsigned_integral T>
class LeWire {
 public:
  constexpr LeWire() = default;
  LeWire(T value) {  // NOLINT(google-explicit-constructor)
    const T wire = LittleEndian(value);
    std::memcpy(bytes_, &wire, sizeof(wire));
  }
  operator T() const {  // NOLINT(google-explicit-constructor)
    T wire;
    std::memcpy(&wire, bytes_, sizeof(wire));
    return LittleEndian(wire);
  }

 private:
  uint8_t bytes_[sizeof(T)] = {};
};

using Le16 = LeWire<uint16_t>;
using Le32 = LeWire<uint32_t>;
using Le64 = LeWire<uint64_t>;

}  // namespace annulus::memory

#endif  // MEMORY_LITTLE_ENDIAN_H_
