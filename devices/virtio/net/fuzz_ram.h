#ifndef DEVICES_VIRTIO_NET_FUZZ_RAM_H_
#define DEVICES_VIRTIO_NET_FUZZ_RAM_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "memory/guest_ram.h"

// What the fuzz targets of the data queues share: the guest's RAM, and contents
// of frames. Both are made once and live as long as the process.

namespace annulus::virtio {

inline constexpr uint64_t kFuzzRamBytes = 0x100000;

inline const memory::GuestRam& FuzzRam() {
  static const memory::GuestRam& ram = *new memory::GuestRam(
      memory::GuestRam::Create({.size = kFuzzRamBytes}).value());
  return ram;
}

// Whether all of a vector is guest memory.
inline bool InFuzzRam(const iovec& vector) {
  const uint8_t* const ram = FuzzRam().Regions()[0].host;
  const uint8_t* const begin = static_cast<const uint8_t*>(vector.iov_base);
  return begin >= ram && begin + vector.iov_len <= ram + kFuzzRamBytes;
}

// `length` bytes that differ from those of the numbers before.
inline std::string FuzzPayload(uint32_t number, size_t length) {
  static const std::string& noise = []() -> const std::string& {
    auto& bytes = *new std::string;
    for (uint32_t seed = 1; bytes.size() < 0x40000;) {
      seed = seed * 1664525 + 1013904223;
      bytes += static_cast<char>(seed >> 24);
    }
    return bytes;
  }();
  return noise.substr(number % 0x8000, length);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_FUZZ_RAM_H_
