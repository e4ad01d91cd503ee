#ifndef DEVICES_VIRTIO_DRIVER_RECEIVED_HEADER_H_
#define DEVICES_VIRTIO_DRIVER_RECEIVED_HEADER_H_

#include <cstdint>

#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "memory/shared_access.h"

// The virtio-net header as the driver finds it in front of a received packet.
// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the driver side reads headers in host order");

// What was negotiated, as far as it changes the header's length.
struct ReceivedHeaderLayout {
  bool hash_report = false;   // VIRTIO_NET_F_HASH_REPORT
  bool header_queue = false;  // VIRTIO_NET_F_HDR_BUF_QUEUE

  // 12, 20 or 28.
  constexpr uint32_t bytes() const {
    return static_cast<uint32_t>(
        (hash_report ? kNetHeaderHashBytes : kNetHeaderBytes) +
        (header_queue ? kNetHeaderQueueFieldBytes : 0));
  }
};

// virtio_net_hdr (virtio 1.4 §5.1.6 "Device Operation") and what may follow it.
// A copy: nothing of it changes any more. Nothing of it was checked.
struct ReceivedHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
  uint16_t num_buffers = 0;
  uint32_t hash_value = 0;  // With HASH_REPORT, as the next.
  uint16_t hash_report = 0;
  uint16_t hdr_buf_index = 0;  // With HDR_BUF_QUEUE, as the next; valid where
  uint16_t hdr_buf_id = 0;     // the packet was split.
};

// Hot. Reads each word once: a device that goes on writing is not read again.
// REQUIRES: `at` is aligned to 4, layout.bytes() are readable there.
inline ReceivedHeader ReadReceivedHeader(const uint8_t* at,
                                         ReceivedHeaderLayout layout) {
  const auto word = [at](uint32_t offset) {
    // Relaxed: seen by the acquire of the used descriptor.
    return memory::SharedLoad(
        static_cast<const uint32_t*>(static_cast<const void*>(at + offset)),
        __ATOMIC_RELAXED);
  };
  const uint32_t first = word(0);
  const uint32_t second = word(4);
  const uint32_t third = word(8);
  ReceivedHeader header = {.flags = static_cast<uint8_t>(first),
                           .gso_type = static_cast<uint8_t>(first >> 8),
                           .hdr_len = static_cast<uint16_t>(first >> 16),
                           .gso_size = static_cast<uint16_t>(second),
                           .csum_start = static_cast<uint16_t>(second >> 16),
                           .csum_offset = static_cast<uint16_t>(third),
                           .num_buffers = static_cast<uint16_t>(third >> 16)};
  uint32_t offset = kNetHeaderBytes;
  if (layout.hash_report) {
    header.hash_value = word(offset);
    header.hash_report = static_cast<uint16_t>(word(offset + 4));
    offset = kNetHeaderHashBytes;
  }
  if (layout.header_queue) {
    const uint32_t slot = word(offset);
    header.hdr_buf_index = static_cast<uint16_t>(slot);
    header.hdr_buf_id = static_cast<uint16_t>(slot >> 16);
  }
  return header;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_RECEIVED_HEADER_H_
