#ifndef DEVICES_VIRTIO_NET_FRAME_FORMAT_H_
#define DEVICES_VIRTIO_NET_FRAME_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// The numbers by which all that looks into frames finds its way: Ethernet with
// VLAN tags, IPv4 (RFC 791), IPv6 (RFC 8200). What of them is to be looked at
// is for each reader to say.

// IEEE 802.3, without a frame check sequence.
inline constexpr uint32_t kEthernetHeaderBytes = 14;
inline constexpr size_t kEtherTypeOffset = 12;
inline constexpr size_t kVlanTagBytes = 4;
inline constexpr int kMaxVlanTags = 2;

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeVlan = 0x8100;         // IEEE 802.1Q
inline constexpr uint16_t kEtherTypeServiceVlan = 0x88a8;  // IEEE 802.1ad
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;

inline constexpr size_t kIpv4HeaderBytes = 20;  // Without options.
inline constexpr size_t kIpv6HeaderBytes = 40;
// Flags and fragment offset of IPv4: whether it is a fragment.
inline constexpr uint16_t kIpv4MoreFragmentsOrOffset = 0x3fff;

// IANA's "Protocol Numbers", and among them "IPv6 Extension Header Types".
inline constexpr uint8_t kIpHopByHop = 0;
inline constexpr uint8_t kIpTcp = 6;
inline constexpr uint8_t kIpUdp = 17;
inline constexpr uint8_t kIpRouting = 43;
inline constexpr uint8_t kIpFragment = 44;
inline constexpr uint8_t kIpAuthentication = 51;
inline constexpr uint8_t kIpDestinationOptions = 60;
inline constexpr uint8_t kIpMobility = 135;
inline constexpr uint8_t kIpHostIdentity = 139;
inline constexpr uint8_t kIpShim6 = 140;

// Hot. How long an extension header of IPv6 is, by its second byte. RFC 4302
// §2.2 counts words of 4 bytes, less 2; the others words of 8, less 1. (One of
// fragments has no such byte.)
inline size_t Ipv6ExtensionBytes(uint8_t protocol, uint8_t length) {
  if (protocol == kIpAuthentication) return size_t{4} * (length + 2);
  return size_t{8} * (length + 1);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_FRAME_FORMAT_H_
