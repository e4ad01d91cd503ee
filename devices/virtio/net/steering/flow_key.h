#ifndef DEVICES_VIRTIO_NET_STEERING_FLOW_KEY_H_
#define DEVICES_VIRTIO_NET_STEERING_FLOW_KEY_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::virtio {

// So much of a frame is looked at. It covers two VLAN tags, an IPv6 header, a
// type 2 routing header, a home address option and the ports after them (114
// bytes), or an IPv4 header with all the options that there may be (86).
inline constexpr size_t kFlowPrefixBytes = 128;

// What tells a flow from others: the fields of a frame that receive-side
// scaling hashes (virtio 1.4 §5.1.6.4.3 "Hash calculation for incoming
// packets").
//
// Fields that lie beyond the prefix, or beyond the length that the IP header
// claims, are not there. A fragment has no transport header, even the first
// one: all fragments of a packet belong to one flow, and the later ones have no
// ports. (An IPv6 fragment that is the whole packet is no fragment.)
//
// Threads: a value type.
// Trust: the frame is hostile. The walk goes forward only, inside the prefix.
// Allocation: none.
struct FlowKey {
  enum class Network : uint8_t { kNone, kIpv4, kIpv6 };
  enum class Transport : uint8_t { kNone, kTcp, kUdp };

  static constexpr size_t kMaxInputBytes = 16 + 16 + 2 + 2;

  // As they are hashed, in network order: source address, destination address,
  // source port, destination port. Ports count with a transport only.
  using Input = std::array<uint8_t, kMaxInputBytes>;

  Network network = Network::kNone;
  Transport transport = Transport::kNone;
  bool has_extension_headers = false;  // IPv6.
  Input input = {};                    // Valid with a network.
  // Valid with extension headers: the same with the address of the home address
  // option and that of the type 2 routing header in place, where there are any.
  Input extended_input = {};

  size_t address_bytes() const { return network == Network::kIpv4 ? 8 : 32; }
};

// Hot. The key of an Ethernet frame of which `prefix` is the beginning: all of
// it, or at least kFlowPrefixBytes. More is not looked at.
FlowKey ParseFlowKey(absl::Span<const uint8_t> prefix);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_FLOW_KEY_H_
