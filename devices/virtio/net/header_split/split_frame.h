#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_FRAME_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_FRAME_H_

#include <cstddef>
#include <cstdint>

#include "devices/virtio/net/steering/test_frame.h"

// For tests: frames with payloads, beyond what test_frame.h has.
//
//   TcpFrame4(/*payload_bytes=*/4096) is the first vector of
//   docs/header_split.md: 66 bytes of headers.

namespace annulus::virtio {

// TCP with timestamps.
inline constexpr size_t kUsualTcpWords = 8;

inline FrameBytes PayloadBytes(size_t bytes) {
  FrameBytes payload(bytes);
  for (size_t i = 0; i < bytes; ++i) {
    payload[i] = static_cast<uint8_t>(i * 7 + i / 251);
  }
  return payload;
}

// `words` is the data offset; there are no fewer bytes than of five.
inline FrameBytes Tcp(size_t payload_bytes, size_t words = kUsualTcpWords,
                      uint16_t source = 5001, uint16_t destination = 5002) {
  FrameBytes header(words < 5 ? 20 : words * 4);
  header[12] = static_cast<uint8_t>(words << 4);
  header[13] = 0x10;  // ACK
  return Joined({BigEndian(source),
                 BigEndian(destination),
                 {header.begin() + 4, header.end()},
                 PayloadBytes(payload_bytes)});
}

inline FrameBytes Udp(size_t payload_bytes, uint16_t source = 5001,
                      uint16_t destination = 5002) {
  return Joined({BigEndian(source),
                 BigEndian(destination),
                 BigEndian(static_cast<uint16_t>(8 + payload_bytes)),
                 {0, 0},
                 PayloadBytes(payload_bytes)});
}

inline FrameBytes SplitIpv4(uint8_t protocol, const FrameBytes& payload,
                            uint16_t fragment = 0,
                            const FrameBytes& options = {}) {
  return Ipv4({10, 0, 0, 1}, {10, 0, 0, 2}, protocol, payload, fragment,
              options);
}

inline FrameBytes SplitIpv6(uint8_t next, const FrameBytes& payload) {
  return Ipv6(Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 1}),
              Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 2}), next, payload);
}

// An extension header of IPv6 of `bytes`, and what follows it.
inline FrameBytes Extension(uint8_t kind, uint8_t next, size_t bytes,
                            const FrameBytes& payload) {
  constexpr uint8_t kAuthentication = 51;
  FrameBytes header(bytes);
  header[0] = next;
  header[1] = static_cast<uint8_t>(kind == kAuthentication ? bytes / 4 - 2
                                                           : bytes / 8 - 1);
  return Joined({header, payload});
}

inline FrameBytes TcpFrame4(size_t payload_bytes,
                            size_t words = kUsualTcpWords) {
  return Ethernet(kTypeIpv4, SplitIpv4(kTypeTcp, Tcp(payload_bytes, words)));
}
inline FrameBytes TcpFrame6(size_t payload_bytes,
                            size_t words = kUsualTcpWords) {
  return Ethernet(kTypeIpv6, SplitIpv6(kTypeTcp, Tcp(payload_bytes, words)));
}
inline FrameBytes UdpFrame4(size_t payload_bytes) {
  return Ethernet(kTypeIpv4, SplitIpv4(kTypeUdp, Udp(payload_bytes)));
}
inline FrameBytes UdpFrame6(size_t payload_bytes) {
  return Ethernet(kTypeIpv6, SplitIpv6(kTypeUdp, Udp(payload_bytes)));
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_FRAME_H_
