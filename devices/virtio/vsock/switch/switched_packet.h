#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_SWITCHED_PACKET_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_SWITCHED_PACKET_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"

namespace annulus::virtio {

// A packet on its way from guest to guest, in memory of our own that is as
// large as its payload.
struct SwitchedPacket {
  // What a packet is counted as beyond its payload, so that empty ones are
  // bounded too.
  static constexpr uint64_t kOverhead = 128;

  PacketHeader header;
  // The connection that it belongs to: packets of an earlier connection between
  // the same ports have another one.
  uint64_t serial = 0;
  std::unique_ptr<uint8_t[]> payload = nullptr;
  uint32_t size = 0;
  uint32_t delivered = 0;  // Bytes of the payload that the guest has.
  // Bytes that it counts as in the inbox. 0: it is bounded otherwise.
  uint64_t cost = 0;

  absl::Span<const uint8_t> rest() const {
    return absl::MakeConstSpan(payload.get() + delivered, size - delivered);
  }
};

// Copies the payload, once. Allocates exactly its size.
inline SwitchedPacket CopyPacket(const PacketHeader& header,
                                 const PacketPayload& payload,
                                 uint64_t serial) {
  SwitchedPacket packet{.header = header, .serial = serial};
  packet.size = static_cast<uint32_t>(payload.size());
  packet.cost = SwitchedPacket::kOverhead + packet.size;
  if (packet.size != 0) {
    packet.payload = std::make_unique_for_overwrite<uint8_t[]>(packet.size);
    payload.CopyOut(absl::MakeSpan(packet.payload.get(), packet.size));
  }
  return packet;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_SWITCHED_PACKET_H_
