#ifndef DEVICES_VIRTIO_NET_CONTROL_COMMAND_RESULT_H_
#define DEVICES_VIRTIO_NET_CONTROL_COMMAND_RESULT_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "base/check.h"
#include "memory/little_endian.h"

namespace annulus::virtio {

// Puts together, field by field, what a command tells the driver beside ack
// (virtio 1.4 §5.1.6.5 "Control Virtqueue"): CommandData the other way round.
//
// Threads: thread-compatible.
// Allocation: none.
class CommandResult {
 public:
  static constexpr size_t kMaxBytes = 24;  // The longest that there is.

  // A little-endian number. REQUIRES: there is room for it.
  template <std::unsigned_integral T>
  void Put(T value) {
    ANNULUS_CHECK(sizeof(value) <= kMaxBytes - size_);
    const T wire = memory::LittleEndian(value);
    std::memcpy(bytes_.data() + size_, &wire, sizeof(wire));
    size_ += sizeof(wire);
  }

  absl::Span<const uint8_t> bytes() const {
    return absl::MakeConstSpan(bytes_).first(size_);
  }

 private:
  std::array<uint8_t, kMaxBytes> bytes_ = {};
  size_t size_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_COMMAND_RESULT_H_
