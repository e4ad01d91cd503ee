#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_LINK_MESSAGE_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_LINK_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"

namespace annulus::virtio {

// What processes send each other, one message of a SOCK_SEQPACKET socket each;
// numbers are little-endian. The first one of a link says who sends:
//
//   offset 0  8 bytes  "annulvsk"
//          8  le32     version, 1
//         12  le32     0
//         16  le64     the sender's CID
//
// Each other one is a packet:
//
//   offset 0  le64     the connection's serial, which the sender of its REQUEST
//                      chose; 0 for a datagram
//          8  struct virtio_vsock_hdr, and `len` bytes
//
// Packets of an earlier connection between the same ports are told by the
// serial from those of a later one.

inline constexpr size_t kLinkHelloBytes = 24;
inline constexpr size_t kLinkHeader = 8;  // The offset of the header.
inline constexpr size_t kLinkPacketBytes = kLinkHeader + kVsockHeaderBytes;
inline constexpr size_t kLinkMaxPayload = 64 * 1024;

using LinkHello = std::array<uint8_t, kLinkHelloBytes>;
LinkHello EncodeLinkHello(uint64_t cid);

// The CID; nothing if the message is no hello of this version, or the CID
// cannot be a guest's.
std::optional<uint64_t> DecodeLinkHello(absl::Span<const uint8_t> message);

// What is before the payload.
using LinkPacketStart = std::array<uint8_t, kLinkPacketBytes>;
LinkPacketStart EncodeLinkPacket(const PacketHeader& header, uint64_t serial);
uint64_t DecodeLinkSerial(const LinkPacketStart& start);
PacketHeader DecodeLinkHeader(const LinkPacketStart& start);

// Whether a packet of `payload_bytes` that was sent by the guest `from` may be
// given to the guest `to`: an intact message, of these two, of a known type and
// operation, and with payload only where it belongs.
bool IsLinkPacket(const PacketHeader& header, size_t payload_bytes,
                  uint64_t from, uint64_t to);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_LINK_MESSAGE_H_
