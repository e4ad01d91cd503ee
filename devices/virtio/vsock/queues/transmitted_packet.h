#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMITTED_PACKET_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMITTED_PACKET_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus::virtio {

// A packet that the driver sends.
struct TransmittedPacket {
  PacketHeader header;  // Its src_cid is the guest's, no CID has over 32 bits.
  PacketPayload payload;  // Of header.len bytes; what follows is no data.
};

// Hot. That in a buffer of a tx virtqueue, whose header has `header_bytes`;
// nothing, which is counted, if it is none or pretends to be another guest's.
// The header is read here and nowhere else: what the driver makes of it later
// has no effect.
std::optional<TransmittedPacket> ReadTransmittedPacket(
    const DescriptorChain& chain, size_t header_bytes, uint64_t guest_cid,
    VsockCounters& counters);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMITTED_PACKET_H_
