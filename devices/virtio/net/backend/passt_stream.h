#ifndef DEVICES_VIRTIO_NET_BACKEND_PASST_STREAM_H_
#define DEVICES_VIRTIO_NET_BACKEND_PASST_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// On the socket of passt(1), each Ethernet frame follows its length as be32.
inline constexpr size_t kPasstLengthBytes = 4;

// Cuts what comes from such a socket, in pieces of any size, into frames.
//
// Threads: thread-compatible.
// Trust: the bytes are the peer's. A frame that is empty or longer than
//   kNetMaxFrameBytes breaks the stream for good: where the next one would
//   begin is anyone's guess.
// Allocation: all in the constructor.
class PasstStream {
 public:
  enum class Found : uint8_t {
    kFrame,
    kIncomplete,  // More bytes are needed.
    kBroken,      // And remains so.
  };

  PasstStream() : bytes_(new uint8_t[kBytes]) {}

  // Hot. The next frame, which stays where it is until Room().
  Found Next(absl::Span<const uint8_t>& frame);

  // Hot. Where the next bytes of the stream are to be put. Never empty after
  // Next() said kIncomplete.
  absl::Span<uint8_t> Room();

  // Hot. So many were put there. REQUIRES: size <= Room().size().
  void Fill(size_t size) { end_ += size; }

 private:
  // Several of the largest: one recv() gets as much as it can.
  static constexpr size_t kBytes = size_t{256} << 10;
  static_assert(kBytes > kPasstLengthBytes + kNetMaxFrameBytes);

  const std::unique_ptr<uint8_t[]> bytes_;
  size_t begin_ = 0;  // Of what was not given out yet; up to end_.
  size_t end_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_PASST_STREAM_H_
