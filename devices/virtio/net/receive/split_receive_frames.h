#ifndef DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FRAMES_H_
#define DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/header_split/split_frame.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net.h"

// For tests of header-split receive: frames of every kind that is split, and of
// kinds that are not.

namespace annulus::virtio {

struct FrameSpec {
  int vlans = 0;
  bool ipv6 = false;
  bool udp = false;
  size_t ip_options = 0;  // IPv4: bytes, a multiple of 4.
  uint16_t fragment = 0;  // IPv4: flags and offset.
  // IPv6: a header of this type each; the n-th has 8 * (n % 3 + 1) bytes.
  std::vector<uint8_t> extensions = {};
  size_t tcp_options = 0;  // Bytes, a multiple of 4.
  size_t payload = 0;
  size_t padding = 0;  // Behind the IP packet.
  uint16_t port = 1000;
  uint32_t seed = 1;  // Of the payload.
};

inline FrameBytes Noise(size_t bytes, uint32_t seed) {
  const std::string noise = NoiseFrame(bytes, seed);
  return {noise.begin(), noise.end()};
}

// How long the headers are.
inline size_t HeaderBytesOf(const FrameSpec& spec) {
  size_t bytes = 14 + 4 * static_cast<size_t>(spec.vlans);
  if (spec.ipv6) {
    bytes += 40;
    for (size_t i = 0; i < spec.extensions.size(); ++i)
      bytes += 8 * (i % 3 + 1);
  } else {
    bytes += 20 + spec.ip_options;
  }
  return bytes + (spec.udp ? 8 : 20 + spec.tcp_options);
}

inline std::string MakeFrame(const FrameSpec& spec) {
  const FrameBytes payload = Noise(spec.payload, spec.seed);
  FrameBytes packet;
  if (spec.udp) {
    packet = Joined({BigEndian(spec.port),
                     BigEndian(2000),
                     BigEndian(static_cast<uint16_t>(8 + spec.payload)),
                     {0, 0},
                     payload});
  } else {
    const size_t words = 5 + spec.tcp_options / 4;
    packet = Joined({BigEndian(spec.port),
                     BigEndian(2000),
                     {1, 2, 3, 4, 5, 6, 7, 8},
                     {static_cast<uint8_t>(words << 4), 0x10},
                     {1, 0, 0, 0, 0, 0},
                     FrameBytes(spec.tcp_options, 1),
                     payload});
  }
  uint8_t next = spec.udp ? kTypeUdp : kTypeTcp;
  if (spec.ipv6) {
    for (size_t i = spec.extensions.size(); i-- > 0;) {
      packet = Extension(spec.extensions[i], next, 8 * (i % 3 + 1), packet);
      next = spec.extensions[i];
    }
    const size_t length = packet.size() > 0xffff ? 0 : packet.size();
    packet = Joined({{0x60, 0, 0, 0},
                     BigEndian(static_cast<uint16_t>(length)),
                     {next, 64},
                     FrameBytes(16, 0xfe),
                     FrameBytes(16, 0xfd),
                     packet});
  } else {
    packet = Ipv4({10, 0, 0, 1}, {10, 0, 0, 2}, next, packet, spec.fragment,
                  FrameBytes(spec.ip_options, 1));
  }
  packet.resize(packet.size() + spec.padding);
  uint16_t type = spec.ipv6 ? kTypeIpv6 : kTypeIpv4;
  for (int i = 0; i < spec.vlans; ++i) {
    packet = Vlan(7, type, packet);
    type = i == 0 ? kTypeVlan : kTypeServiceVlan;
  }
  const FrameBytes bytes = Ethernet(type, packet);
  return {bytes.begin(), bytes.end()};
}

// As a backend gives it.
inline std::string WithNetHeader(const std::string& frame,
                                 const NetHeader& header = {}) {
  std::array<uint8_t, kNetHeaderBytes> bytes;
  EncodeNetHeader(header, absl::MakeSpan(bytes));
  return std::string(bytes.begin(), bytes.end()) + frame;
}

// Of a TCP packet of many segments, IPv4 or IPv6, whose headers `spec` has.
inline NetHeader GsoHeader(const FrameSpec& spec) {
  const size_t headers = HeaderBytesOf(spec);
  const size_t transport = headers - 20 - spec.tcp_options;
  return {.flags = kNetHeaderNeedsCsum,
          .gso_type = spec.ipv6 ? kNetGsoTcpv6 : kNetGsoTcpv4,
          .hdr_len = static_cast<uint16_t>(headers),
          .gso_size = 1448,
          .csum_start = static_cast<uint16_t>(transport),
          .csum_offset = 16};
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FRAMES_H_
