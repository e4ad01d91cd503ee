#include "devices/virtio/net/steering/toeplitz.h"

#include <algorithm>

#include "base/check.h"

namespace annulus::virtio {
namespace {

constexpr size_t kWindowBits = 32;

}  // namespace

Toeplitz::Toeplitz(absl::Span<const uint8_t> key) {
  ANNULUS_CHECK(key.size() <= kNetRssKeyBytes);
  // The last bit's window ends with the key.
  static_assert(4 * kNibbles + kWindowBits <= 8 * kNetRssKeyBytes);
  std::array<uint8_t, kNetRssKeyBytes> padded = {};
  std::copy(key.begin(), key.end(), padded.begin());
  // The 32 bits of the key from `bit` on, the first of them topmost.
  const auto window = [&padded](size_t bit) {
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; ++i) {
      const size_t at = bit / 8 + i;
      bits = bits << 8 | (at < padded.size() ? padded[at] : 0);
    }
    return static_cast<uint32_t>(bits >> (8 - bit % 8));
  };
  for (size_t nibble = 0; nibble < kNibbles; ++nibble) {
    for (size_t value = 0; value < 16; ++value) {
      for (size_t bit = 0; bit < 4; ++bit) {
        if ((value & (8u >> bit)) != 0) {
          table_[nibble][value] ^= window(4 * nibble + bit);
        }
      }
    }
  }
}

// Hot.
uint32_t Toeplitz::Hash(absl::Span<const uint8_t> input) const {
  ANNULUS_DCHECK(input.size() <= FlowKey::kMaxInputBytes);
  uint32_t hash = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    hash ^= table_[2 * i][input[i] >> 4] ^ table_[2 * i + 1][input[i] & 0xf];
  }
  return hash;
}

}  // namespace annulus::virtio
