#ifndef DEVICES_VIRTIO_TRANSPORT_FUZZ_INPUT_H_
#define DEVICES_VIRTIO_TRANSPORT_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace annulus::virtio {

// Takes a fuzzer's bytes apart; zeros follow when they are used up.
class FuzzInput {
 public:
  explicit FuzzInput(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  uint8_t Byte() { return Bytes(1)[0]; }
  // Little-endian.
  uint32_t Number(size_t width) {
    uint32_t value = 0;
    const std::vector<uint8_t> bytes = Bytes(width);
    for (size_t i = 0; i < width; ++i) value |= uint32_t{bytes[i]} << (8 * i);
    return value;
  }
  std::vector<uint8_t> Bytes(size_t count) {
    std::vector<uint8_t> out(count, 0);
    const size_t have = std::min(count, bytes_.size());
    std::copy_n(bytes_.begin(), have, out.begin());
    bytes_.remove_prefix(have);
    return out;
  }

 private:
  absl::Span<const uint8_t> bytes_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_FUZZ_INPUT_H_
