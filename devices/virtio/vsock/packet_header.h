#ifndef DEVICES_VIRTIO_VSOCK_PACKET_HEADER_H_
#define DEVICES_VIRTIO_VSOCK_PACKET_HEADER_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {

// struct virtio_vsock_hdr in host order (virtio 1.4 §5.10.6 "Device
// Operation"): what a packet is, and how many bytes of payload follow.
//
// Trust: one that the guest sent may have any value in any field.
struct PacketHeader {
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

  friend bool operator==(const PacketHeader&, const PacketHeader&) = default;
};

// Hot. REQUIRES: kVsockHeaderBytes or more; what follows them is left alone.
PacketHeader DecodePacketHeader(absl::Span<const uint8_t> bytes);
void EncodePacketHeader(const PacketHeader& header, absl::Span<uint8_t> bytes);

// The RST that answers a packet which nobody wants: from and to swapped.
// REQUIRES: it is no RST itself, which is never answered.
PacketHeader ResetFor(const PacketHeader& packet);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_PACKET_HEADER_H_
