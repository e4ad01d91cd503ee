#ifndef DEVICES_VIRTIO_NET_FILTER_RECEIVE_FILTER_H_
#define DEVICES_VIRTIO_NET_FILTER_RECEIVE_FILTER_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/filter/address_table.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// Which received frames the driver wants (virtio 1.4 §5.1.6.5.1 "Packet Receive
// Filtering", §5.1.6.5.2 "Setting MAC Address Filtering", §5.1.6.5.3 "VLAN
// Filtering").
//
// What a driver cannot control is not filtered: without CTRL_RX every address,
// without CTRL_VLAN every VLAN is accepted. With them, and before the driver
// sent any command, come frames to the device's own address and broadcasts, and
// no VLAN's: "The device MUST have an empty MAC filtering table on reset".
// Drivers set both when the interface goes up.
//
// A driver without VIRTIO_NET_F_MAC chooses an address that the device does not
// know until MAC_ADDR_SET: until then all unicast frames are accepted.
//
// Promiscuous mode overrides everything, VLANs included, as a bridge in the
// guest and tcpdump expect it.
//
// Threads: a value type; const functions from any thread.
// Trust: frames are hostile.
// Allocation: none.
class ReceiveFilter {
 public:
  // So much of a frame is looked at: the Ethernet header and one VLAN tag.
  static constexpr size_t kPrefixBytes = 14 + 4;
  static constexpr uint16_t kVlans = 4096;

  // The switches of class VIRTIO_NET_CTRL_RX, by their command.
  enum Mode : uint8_t {
    kPromiscuous,   // VIRTIO_NET_CTRL_RX_PROMISC
    kAllMulticast,  // .._ALLMULTI
    kAllUnicast,    // .._ALLUNI
    kNoMulticast,   // .._NOMULTI
    kNoUnicast,     // .._NOUNI
    kNoBroadcast,   // .._NOBCAST
  };
  static constexpr uint8_t kModes = 6;

  // Accepts everything.
  ReceiveFilter() = default;

  // As it is after the driver negotiated `features`; `mac` is what the
  // configuration space says.
  ReceiveFilter(const FeatureSet& features, const MacAddress& mac);

  // Hot. Whether the frame that begins with `prefix` is wanted: all of it, or
  // at least kPrefixBytes. Never wanted is one without an Ethernet header.
  bool Accepts(absl::Span<const uint8_t> prefix) const;

  // Hot. True where Accepts() says yes to every frame that has an Ethernet
  // header: a worker need not look at them.
  bool accepts_everything() const {
    return modes_[kPromiscuous] ||
           (!filters_addresses_ && !filters_vlans_ && modes_.none());
  }

  bool mode(Mode mode) const { return modes_[mode]; }
  void SetMode(Mode mode, bool on) { modes_[mode] = on; }

  const MacAddress& mac() const { return mac_; }
  void SetMac(const MacAddress& mac);

  // Replaces both tables.
  void SetTables(const AddressTable& unicast, const AddressTable& multicast) {
    unicast_ = unicast;
    multicast_ = multicast;
  }

  // REQUIRES: vlan < kVlans.
  void AddVlan(uint16_t vlan) { vlans_.set(vlan); }
  void RemoveVlan(uint16_t vlan) { vlans_.reset(vlan); }

  friend bool operator==(const ReceiveFilter&, const ReceiveFilter&) = default;

 private:
  bool AcceptsAddress(absl::Span<const uint8_t> destination) const;
  bool AcceptsVlan(absl::Span<const uint8_t> prefix) const;

  bool filters_addresses_ = false;
  bool filters_vlans_ = false;
  bool mac_is_known_ = false;  // That the driver uses mac_.
  std::bitset<kModes> modes_;
  MacAddress mac_ = {};
  AddressTable unicast_;
  AddressTable multicast_;
  std::bitset<kVlans> vlans_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_FILTER_RECEIVE_FILTER_H_
