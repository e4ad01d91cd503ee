#ifndef DEVICES_VIRTIO_RNG_ENTROPY_SOURCE_H_
#define DEVICES_VIRTIO_RNG_ENTROPY_SOURCE_H_

#include <cstdint>

#include "absl/types/span.h"

namespace annulus::virtio {

// Where random bytes come from.
//
// Threads: called on one queue worker at a time for each device that uses it.
// Allocation: none; Fill() is hot.
class EntropySource {
 public:
  virtual ~EntropySource() = default;

  // Fills all of `out`, at most 4 KiB. False, and `out` is to be thrown away,
  // where the host has no entropy to give. Never blocks.
  [[nodiscard]] virtual bool Fill(absl::Span<uint8_t> out) = 0;
};

// getrandom(2): the host kernel's generator, seeded before any VM starts.
EntropySource& HostEntropySource();

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_RNG_ENTROPY_SOURCE_H_
