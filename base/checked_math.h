#ifndef BASE_CHECKED_MATH_H_
#define BASE_CHECKED_MATH_H_

#include <concepts>
#include <optional>

namespace annulus {

// Sums and products of untrusted unsigned numbers: nullopt instead of a wrap.

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> CheckedAdd(T a, T b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> CheckedMultiply(T a, T b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Rounds up to a multiple of `alignment`, a power of two.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> CheckedAlignUp(T value, T alignment) {
  const std::optional<T> sum = CheckedAdd<T>(value, alignment - 1);
  if (!sum.has_value()) return std::nullopt;
  return static_cast<T>(*sum & ~(alignment - 1));
}

// True if [offset, offset + length) lies inside [0, size).
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool RangeFits(T offset, T length, T size) {
  return length <= size && offset <= size - length;
}

}  // namespace annulus

#endif  // BASE_CHECKED_MATH_H_
