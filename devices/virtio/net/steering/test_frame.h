#ifndef DEVICES_VIRTIO_NET_STEERING_TEST_FRAME_H_
#define DEVICES_VIRTIO_NET_STEERING_TEST_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

// For tests: frames put together from the inside out.
//
//   Ethernet(kTypeIpv4, Ipv4({66, 9, 149, 187}, {161, 142, 100, 80}, kTypeTcp,
//                            Ports(2794, 1766)))

namespace annulus::virtio {

using FrameBytes = std::vector<uint8_t>;

inline constexpr uint16_t kTypeIpv4 = 0x0800;
inline constexpr uint16_t kTypeVlan = 0x8100;
inline constexpr uint16_t kTypeServiceVlan = 0x88a8;
inline constexpr uint16_t kTypeIpv6 = 0x86dd;
inline constexpr uint8_t kTypeTcp = 6;
inline constexpr uint8_t kTypeUdp = 17;

inline FrameBytes Joined(std::initializer_list<FrameBytes> parts) {
  FrameBytes all;
  for (const FrameBytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

inline FrameBytes BigEndian(uint16_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

inline FrameBytes Ethernet(uint16_t type, const FrameBytes& payload,
                           const FrameBytes& destination = {2, 0, 0, 0, 0, 1}) {
  return Joined({destination, {2, 0, 0, 0, 0, 2}, BigEndian(type), payload});
}

// What comes after a VLAN's EtherType.
inline FrameBytes Vlan(uint16_t tag, uint16_t type, const FrameBytes& payload) {
  return Joined({BigEndian(tag), BigEndian(type), payload});
}

// `options` has a multiple of 4 bytes.
inline FrameBytes Ipv4(const FrameBytes& source, const FrameBytes& destination,
                       uint8_t protocol, const FrameBytes& payload,
                       uint16_t fragment = 0, const FrameBytes& options = {}) {
  const size_t header = 20 + options.size();
  return Joined({{static_cast<uint8_t>(0x40 | header / 4), 0},
                 BigEndian(static_cast<uint16_t>(header + payload.size())),
                 {0, 0},
                 BigEndian(fragment),
                 {64, protocol, 0, 0},
                 source,
                 destination,
                 options,
                 payload});
}

inline FrameBytes Ipv6(const FrameBytes& source, const FrameBytes& destination,
                       uint8_t next, const FrameBytes& payload) {
  return Joined({{0x60, 0, 0, 0},
                 BigEndian(static_cast<uint16_t>(payload.size())),
                 {next, 64},
                 source,
                 destination,
                 payload});
}

// Of an address like 2001:db8::1, its groups; 0 stands for a group of zeros.
inline FrameBytes Ipv6Address(std::initializer_list<uint16_t> groups) {
  FrameBytes bytes;
  for (const uint16_t group : groups) bytes = Joined({bytes, BigEndian(group)});
  return bytes;
}

// The beginning of TCP's header and of UDP's, and four bytes more.
inline FrameBytes Ports(uint16_t source, uint16_t destination) {
  return Joined({BigEndian(source), BigEndian(destination), {0, 0, 0, 0}});
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_TEST_FRAME_H_
