#ifndef DEVICES_VIRTIO_NET_STEERING_TOEPLITZ_H_
#define DEVICES_VIRTIO_NET_STEERING_TOEPLITZ_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {

// The Toeplitz hash of receive-side scaling (virtio 1.4 §5.1.6.5.7
// "Receive-side scaling (RSS)") with one key.
//
// Each bit of the input that is 1 contributes the 32 bits of the key that begin
// at its own position. What four bits contribute at each place is made into a
// table when the key is set: 4.5 KiB, which the first-level cache bears, and a
// look-up for each half byte (a table for whole bytes would take 36 KiB).
//
// Threads: a value type.
// Allocation: none.
class Toeplitz {
 public:
  // The key of zeros, under which everything hashes to 0.
  Toeplitz() = default;

  // A short key is followed by zeros. REQUIRES: key.size() <= kNetRssKeyBytes.
  explicit Toeplitz(absl::Span<const uint8_t> key);

  // Hot. REQUIRES: input.size() <= FlowKey::kMaxInputBytes.
  uint32_t Hash(absl::Span<const uint8_t> input) const;

  friend bool operator==(const Toeplitz&, const Toeplitz&) = default;

 private:
  static constexpr size_t kNibbles = 2 * FlowKey::kMaxInputBytes;

  std::array<std::array<uint32_t, 16>, kNibbles> table_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_TOEPLITZ_H_
