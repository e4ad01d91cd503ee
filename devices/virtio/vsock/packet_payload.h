#ifndef DEVICES_VIRTIO_VSOCK_PACKET_PAYLOAD_H_
#define DEVICES_VIRTIO_VSOCK_PACKET_PAYLOAD_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {

// The payload of a packet that the driver sends: the bytes [begin, begin +
// size) of a chain's device-readable elements, laid out over these in any way
// (virtio 1.4 §2.7.4 "Message Framing"). Valid until the chain is pushed.
//
// Threads: a value of the worker that has the chain.
// Trust: the bytes are the guest's to change at any time: whoever needs them
//   twice copies them first.
// Allocation: none.
class PacketPayload {
 public:
  PacketPayload() = default;
  // REQUIRES: the elements have begin + size bytes.
  PacketPayload(absl::Span<const ChainElement> elements, size_t begin,
                size_t size)
      : elements_(elements), begin_(begin), size_(size) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Without its first `count` bytes. REQUIRES: it has as many.
  PacketPayload Without(size_t count) const {
    return PacketPayload(elements_, begin_ + count, size_ - count);
  }

  // Only these. REQUIRES: it has as many.
  PacketPayload First(size_t count) const {
    return PacketPayload(elements_, begin_, count);
  }

  // Hot. Fills `vectors` from its first byte on, for sendmsg(2). Returns how
  // many it took; they may cover less than all of it, if there are too few.
  size_t Vectors(absl::Span<iovec> vectors) const;

  // Copies out.size() bytes from the first one on. REQUIRES: it has as many.
  void CopyOut(absl::Span<uint8_t> out) const;

 private:
  absl::Span<const ChainElement> elements_;
  size_t begin_ = 0;
  size_t size_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_PACKET_PAYLOAD_H_
