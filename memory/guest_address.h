#ifndef MEMORY_GUEST_ADDRESS_H_
#define MEMORY_GUEST_ADDRESS_H_

#include <compare>
#include <cstdint>
#include <optional>

#include "base/checked_math.h"

namespace annulus::memory {

// A guest-physical address. A distinct type, so that a number from the guest
// never becomes an address, nor an address a host pointer, by accident: only
// GuestMemory turns one into memory, after a bounds check.
//
// Trust: usually guest-controlled. Any value is legal here.
class GuestAddress {
 public:
  constexpr GuestAddress() = default;
  explicit constexpr GuestAddress(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }

  // The address `offset` bytes further, or nullopt where 2^64 is passed.
  constexpr std::optional<GuestAddress> CheckedAdd(uint64_t offset) const {
    const std::optional<uint64_t> sum = annulus::CheckedAdd(value_, offset);
    if (!sum.has_value()) return std::nullopt;
    return GuestAddress(*sum);
  }

  // `alignment` is a power of two.
  constexpr bool IsAligned(uint64_t alignment) const {
    return (value_ & (alignment - 1)) == 0;
  }

  friend constexpr auto operator<=>(GuestAddress, GuestAddress) = default;

 private:
  uint64_t value_ = 0;
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_ADDRESS_H_
