#ifndef DEVICES_VIRTIO_NET_CONTROL_COMMAND_DATA_H_
#define DEVICES_VIRTIO_NET_CONTROL_COMMAND_DATA_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "memory/little_endian.h"

namespace annulus::virtio {

// Takes command-specific-data apart, field by field (virtio 1.4 §5.1.6.5
// "Control Virtqueue"). What is taken beyond the end is 0, and Complete() tells
// of it: look there before using a value.
//
// Threads: thread-compatible.
// Trust: the bytes are guest-controlled, in memory of our own.
// Allocation: none.
class CommandData {
 public:
  explicit CommandData(absl::Span<const uint8_t> bytes) : left_(bytes) {}

  // A little-endian number.
  template <std::unsigned_integral T>
  T Take() {
    const absl::Span<const uint8_t> bytes = TakeBytes(sizeof(T));
    if (bytes.empty()) return 0;
    T wire;
    std::memcpy(&wire, bytes.data(), sizeof(wire));
    return memory::LittleEndian(wire);
  }

  // Empty where there are not so many.
  absl::Span<const uint8_t> TakeBytes(uint64_t count) {
    if (count > left_.size()) {
      cut_short_ = true;
      left_ = {};
      return {};
    }
    const absl::Span<const uint8_t> bytes = left_.first(count);
    left_.remove_prefix(count);
    return bytes;
  }

  // Nothing was missing, and nothing is left.
  bool Complete() const { return !cut_short_ && left_.empty(); }

 private:
  absl::Span<const uint8_t> left_;
  bool cut_short_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_COMMAND_DATA_H_
