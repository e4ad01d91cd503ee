#ifndef DEVICES_VIRTIO_NET_BACKEND_PLAIN_FRAMES_H_
#define DEVICES_VIRTIO_NET_BACKEND_PLAIN_FRAMES_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// Hot. For NetBackendQueue::SendPlain(): the lines in which frames begin come
// from the driver's processor all at once, not one after the other.
inline void PrefetchFrames(absl::Span<const iovec> frames) {
  for (const iovec& frame : frames) __builtin_prefetch(frame.iov_base);
}

// Hot. NetBackendQueue::CopyPlain() of a backend whose frames, each behind its
// header, lie in a ring: of those from `position` on, which it moves behind
// what it copied. The reader of the ring calls it.
inline uint32_t CopyPlainFrames(FrameRing& ring, FrameRing::Position& position,
                                absl::Span<const iovec> rooms,
                                absl::Span<uint32_t> bytes) {
  uint32_t count = 0;
  for (const iovec& room : rooms) {
    FrameRing::Position next = position;
    const absl::Span<const uint8_t> frame = ring.Next(next);
    if (frame.size() < kNetHeaderBytes + kEthernetHeaderBytes ||
        frame.size() > room.iov_len || !IsPlainNetHeader(frame)) {
      break;
    }
    CopyPlainFrame(frame.subspan(kNetHeaderBytes), room);
    bytes[count++] = static_cast<uint32_t>(frame.size());
    position = next;
  }
  return count;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_PLAIN_FRAMES_H_
