#include "devices/virtio/net/steering/flow_key.h"

#include <algorithm>

#include "devices/virtio/net/frame_format.h"

namespace annulus::virtio {
namespace {

using Bytes = absl::Span<const uint8_t>;

constexpr size_t kIpv6AddressBytes = 16;
constexpr size_t kPortBytes = 4;  // Both.

// REQUIRES: both bytes are there.
uint16_t BigEndian16(Bytes bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

// A packet ends where its IP header says so; what follows is padding.
Bytes CutTo(Bytes packet, size_t length) {
  return packet.first(std::min(packet.size(), length));
}

void ParseTransport(Bytes packet, size_t offset, uint8_t protocol,
                    FlowKey& key) {
  if (protocol != kIpTcp && protocol != kIpUdp) return;
  if (offset + kPortBytes > packet.size()) return;
  key.transport =
      protocol == kIpTcp ? FlowKey::Transport::kTcp : FlowKey::Transport::kUdp;
  const Bytes ports = packet.subspan(offset, kPortBytes);
  std::copy(ports.begin(), ports.end(),
            key.input.begin() + key.address_bytes());
  if (key.has_extension_headers) {
    std::copy(ports.begin(), ports.end(),
              key.extended_input.begin() + key.address_bytes());
  }
}

// RFC 791.
void ParseIpv4(Bytes packet, FlowKey& key) {
  if (packet.size() < kIpv4HeaderBytes || packet[0] >> 4 != 4) return;
  const size_t header_bytes = size_t{4} * (packet[0] & 0xf);
  if (header_bytes < kIpv4HeaderBytes) return;
  key.network = FlowKey::Network::kIpv4;
  const Bytes addresses = packet.subspan(12, 8);
  std::copy(addresses.begin(), addresses.end(), key.input.begin());
  if ((BigEndian16(packet, 6) & kIpv4MoreFragmentsOrOffset) != 0) return;
  ParseTransport(CutTo(packet, BigEndian16(packet, 2)), header_bytes, packet[9],
                 key);
}

// RFC 6275 §6.3: the option 201 of a destination options header, which spans
// `header`, has the address that the source has at home.
void ParseHomeAddress(Bytes header, FlowKey& key) {
  constexpr uint8_t kPad1 = 0;
  constexpr uint8_t kHomeAddress = 201;
  for (size_t offset = 2; offset < header.size();) {
    if (header[offset] == kPad1) {
      ++offset;
      continue;
    }
    if (offset + 2 > header.size()) return;
    const size_t bytes = header[offset + 1];
    if (offset + 2 + bytes > header.size()) return;
    if (header[offset] == kHomeAddress && bytes == kIpv6AddressBytes) {
      const Bytes address = header.subspan(offset + 2, bytes);
      std::copy(address.begin(), address.end(), key.extended_input.begin());
      return;
    }
    offset += 2 + bytes;
  }
}

// RFC 6275 §6.4: a type 2 routing header has one address, the destination's
// home.
void ParseRouting(Bytes header, FlowKey& key) {
  constexpr uint8_t kType2 = 2;
  constexpr uint8_t kType2Length = 2;  // In units of 8 bytes after the first 8.
  if (header.size() < 8 + kIpv6AddressBytes) return;
  if (header[1] != kType2Length || header[2] != kType2) return;
  const Bytes address = header.subspan(8, kIpv6AddressBytes);
  std::copy(address.begin(), address.end(),
            key.extended_input.begin() + kIpv6AddressBytes);
}

bool IsExtensionHeader(uint8_t protocol) {
  switch (protocol) {
    case kIpHopByHop:
    case kIpRouting:
    case kIpFragment:
    case kIpAuthentication:
    case kIpDestinationOptions:
    case kIpMobility:
    case kIpHostIdentity:
    case kIpShim6:
      return true;
    default:
      return false;
  }
}

size_t ExtensionHeaderBytes(uint8_t protocol, uint8_t length) {
  if (protocol == kIpFragment) return 8;
  return Ipv6ExtensionBytes(protocol, length);
}

// RFC 8200.
void ParseIpv6(Bytes packet, FlowKey& key) {
  if (packet.size() < kIpv6HeaderBytes || packet[0] >> 4 != 6) return;
  key.network = FlowKey::Network::kIpv6;
  const Bytes addresses = packet.subspan(8, 2 * kIpv6AddressBytes);
  std::copy(addresses.begin(), addresses.end(), key.input.begin());
  uint8_t next = packet[6];
  packet = CutTo(packet, kIpv6HeaderBytes + BigEndian16(packet, 4));
  size_t offset = kIpv6HeaderBytes;
  if (IsExtensionHeader(next)) {
    key.has_extension_headers = true;
    key.extended_input = key.input;
  }
  // Bounded: each header has 8 bytes at least.
  while (IsExtensionHeader(next)) {
    if (offset + 8 > packet.size()) return;
    const size_t bytes = ExtensionHeaderBytes(next, packet[offset + 1]);
    const Bytes header = CutTo(packet.subspan(offset), bytes);
    constexpr uint16_t kOffsetOrMoreFragments = 0xfff9;
    if (next == kIpDestinationOptions) ParseHomeAddress(header, key);
    if (next == kIpRouting) ParseRouting(header, key);
    if (next == kIpFragment &&
        (BigEndian16(header, 2) & kOffsetOrMoreFragments) != 0) {
      return;
    }
    next = header[0];
    offset += bytes;
  }
  ParseTransport(packet, offset, next, key);
}

}  // namespace

// Hot.
FlowKey ParseFlowKey(Bytes prefix) {
  FlowKey key;
  prefix = CutTo(prefix, kFlowPrefixBytes);
  size_t offset = kEtherTypeOffset;
  for (int tags = 0;; ++tags) {
    if (offset + 2 > prefix.size()) return key;
    const uint16_t type = BigEndian16(prefix, offset);
    if (type == kEtherTypeIpv4) ParseIpv4(prefix.subspan(offset + 2), key);
    if (type == kEtherTypeIpv6) ParseIpv6(prefix.subspan(offset + 2), key);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) return key;
    if (tags == kMaxVlanTags) return key;
    offset += kVlanTagBytes;
  }
}

}  // namespace annulus::virtio
