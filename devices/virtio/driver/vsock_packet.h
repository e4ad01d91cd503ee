#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_PACKET_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_PACKET_H_

#include <cstdint>

#include "devices/virtio/spec/vsock.h"
#include "memory/shared_access.h"

// Packets of the socket device as the driver sees them. Freestanding: the
// microguest is built from this without a C library.

namespace annulus::virtio {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the driver side accesses headers in host order");

// struct virtio_vsock_hdr (virtio 1.4 §5.10.6 "Device Operation"), and with
// MRG_RXBUF the number of buffers behind it. A copy: nothing of it changes any
// more. Nothing of one that was received has been checked but len and
// num_buffers.
struct VsockHeader {
  uint64_t src_cid = 0;
  uint64_t dst_cid = 0;
  uint32_t src_port = 0;
  uint32_t dst_port = 0;
  uint32_t len = 0;
  uint16_t type = 0;
  uint16_t op = 0;
  uint32_t flags = 0;
  uint32_t buf_alloc = 0;
  uint32_t fwd_cnt = 0;
  uint16_t num_buffers = 0;
};

// Of a datagram; the device drops what it has no room for, and nobody is told.
constexpr VsockHeader VsockDatagramHeader(uint64_t src_cid, uint32_t src_port,
                                          uint64_t dst_cid, uint32_t dst_port,
                                          uint32_t len) {
  return {.src_cid = src_cid,
          .dst_cid = dst_cid,
          .src_port = src_port,
          .dst_port = dst_port,
          .len = len,
          .type = kVsockTypeDgram,
          .op = kVsockOpRw};
}

// In both directions: 44 or, with MRG_RXBUF, 46.
constexpr uint32_t VsockHeaderBytes(bool mergeable) {
  return static_cast<uint32_t>(mergeable ? kVsockMergeableHeaderBytes
                                         : kVsockHeaderBytes);
}

// Hot. Reads each word once: a device that goes on writing is not read again.
// REQUIRES: `at` is aligned to 4, and as many bytes are readable there.
inline VsockHeader ReadVsockHeader(const uint8_t* at, bool mergeable) {
  // Relaxed: seen by the acquire of the used descriptor.
  const auto word = [at](uint64_t offset) {
    return memory::SharedLoad(
        static_cast<const uint32_t*>(static_cast<const void*>(at + offset)),
        __ATOMIC_RELAXED);
  };
  const auto two_words = [&word](uint64_t offset) {
    return word(offset) | uint64_t{word(offset + 4)} << 32;
  };
  const uint32_t type_and_op = word(kVsockHeaderType);
  VsockHeader header = {.src_cid = two_words(kVsockHeaderSrcCid),
                        .dst_cid = two_words(kVsockHeaderDstCid),
                        .src_port = word(kVsockHeaderSrcPort),
                        .dst_port = word(kVsockHeaderDstPort),
                        .len = word(kVsockHeaderLen),
                        .type = static_cast<uint16_t>(type_and_op),
                        .op = static_cast<uint16_t>(type_and_op >> 16),
                        .flags = word(kVsockHeaderFlags),
                        .buf_alloc = word(kVsockHeaderBufAlloc),
                        .fwd_cnt = word(kVsockHeaderFwdCnt),
                        .num_buffers = 1};
  if (mergeable) {
    header.num_buffers = memory::SharedLoad(
        static_cast<const uint16_t*>(
            static_cast<const void*>(at + kVsockHeaderNumBuffers)),
        __ATOMIC_RELAXED);
  }
  return header;
}

// Hot. What a driver sends has no number of buffers. REQUIRES: as above, but
// writable.
inline void WriteVsockHeader(const VsockHeader& header, bool mergeable,
                             uint8_t* at) {
  // Relaxed: exposed by the release of the descriptor.
  const auto word = [at](uint64_t offset, uint32_t value) {
    memory::SharedStore(static_cast<uint32_t*>(static_cast<void*>(at + offset)),
                        value, __ATOMIC_RELAXED);
  };
  const auto two_words = [&word](uint64_t offset, uint64_t value) {
    word(offset, static_cast<uint32_t>(value));
    word(offset + 4, static_cast<uint32_t>(value >> 32));
  };
  two_words(kVsockHeaderSrcCid, header.src_cid);
  two_words(kVsockHeaderDstCid, header.dst_cid);
  word(kVsockHeaderSrcPort, header.src_port);
  word(kVsockHeaderDstPort, header.dst_port);
  word(kVsockHeaderLen, header.len);
  word(kVsockHeaderType, header.type | uint32_t{header.op} << 16);
  word(kVsockHeaderFlags, header.flags);
  word(kVsockHeaderBufAlloc, header.buf_alloc);
  word(kVsockHeaderFwdCnt, header.fwd_cnt);
  if (mergeable) {
    memory::SharedStore(
        static_cast<uint16_t*>(static_cast<void*>(at + kVsockHeaderNumBuffers)),
        0, __ATOMIC_RELAXED);
  }
}

// Consecutive bytes of a packet's payload, and the receive buffer that they are
// in. The first part of a packet may have none, if its header fills the buffer.
struct VsockPart {
  const uint8_t* data = nullptr;
  uint32_t bytes = 0;
  uint32_t buffer = 0;
};

// A packet that was received. Its bytes are in memory that the device may go on
// writing to. As many parts as buffers, together header.len bytes.
struct VsockPacket {
  VsockHeader header;
  const VsockPart* parts = nullptr;
  uint32_t part_count = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_PACKET_H_
