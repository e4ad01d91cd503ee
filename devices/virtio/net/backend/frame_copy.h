#ifndef DEVICES_VIRTIO_NET_BACKEND_FRAME_COPY_H_
#define DEVICES_VIRTIO_NET_BACKEND_FRAME_COPY_H_

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// Copies between the vectors of a frame and contiguous memory of ours, for the
// backends that keep frames. Each byte of guest memory is touched once.

// Hot. `size` bytes of `vectors` from their byte `skip` on, at most as many as
// they have. Returns how many.
inline size_t GatherFrame(absl::Span<const iovec> vectors, uint8_t* to,
                          size_t size, size_t skip = 0) {
  size_t done = 0;
  for (const iovec& vector : vectors) {
    if (done == size) break;
    const size_t skipped = std::min(skip, vector.iov_len);
    skip -= skipped;
    const size_t part = std::min(vector.iov_len - skipped, size - done);
    if (part == 0) continue;
    std::memcpy(to + done,
                static_cast<const uint8_t*>(vector.iov_base) + skipped, part);
    done += part;
  }
  return done;
}

// Hot. As much of `from` as fits into `vectors` from their byte `skip` on.
// Returns how many bytes that is.
inline size_t ScatterFrame(absl::Span<const uint8_t> from,
                           absl::Span<const iovec> vectors, size_t skip = 0) {
  size_t done = 0;
  for (const iovec& vector : vectors) {
    if (done == from.size()) break;
    const size_t skipped = std::min(skip, vector.iov_len);
    skip -= skipped;
    const size_t part = std::min(vector.iov_len - skipped, from.size() - done);
    if (part == 0) continue;
    std::memcpy(static_cast<uint8_t*>(vector.iov_base) + skipped,
                from.data() + done, part);
    done += part;
  }
  return done;
}

// For the driver: nothing is to be done, and num_buffers is 1.
inline constexpr std::array<uint8_t, kNetHeaderBytes> kPlainReceiveHeader = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};

// Hot. That header. Where it has a cache line to itself, and buffers are used
// again and again, it mostly stands there already: a line that is not written
// to need not go to and fro between the processors of driver and device.
inline void WritePlainHeader(uint8_t* to) {
  constexpr uintptr_t kLine = 64;
  const auto at = std::bit_cast<uintptr_t>(to);
  const bool apart = at / kLine != (at + kNetHeaderBytes) / kLine;
  if (apart &&
      std::memcmp(to, kPlainReceiveHeader.data(), kNetHeaderBytes) == 0) {
    return;
  }
  std::memcpy(to, kPlainReceiveHeader.data(), kNetHeaderBytes);
}

// Hot. That header and a frame into one vector, which has room for both. Short
// frames are many: each costs a few moves of fixed size, and no call.
inline void CopyPlainFrame(absl::Span<const uint8_t> frame, const iovec& to) {
  constexpr size_t kMove = 16;
  constexpr size_t kShort = 8 * kMove;
  uint8_t* const start = static_cast<uint8_t*>(to.iov_base);
  WritePlainHeader(start);
  uint8_t* const out = start + kNetHeaderBytes;
  const uint8_t* const in = frame.data();
  const size_t size = frame.size();
  if (size < kMove || size > kShort) {
    std::memcpy(out, in, size);
    return;
  }
  for (size_t i = 0; i + kMove < size; i += kMove) {
    std::memcpy(out + i, in + i, kMove);
  }
  // The last ones once more, if they are not a whole move.
  std::memcpy(out + size - kMove, in + size - kMove, kMove);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_FRAME_COPY_H_
