#include "devices/virtio/net/filter/receive_filter.h"

#include <algorithm>

#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

}  // namespace

ReceiveFilter::ReceiveFilter(const FeatureSet& features, const MacAddress& mac)
    : filters_addresses_(features.Has(kNetCtrlRx)),
      filters_vlans_(features.Has(kNetCtrlVlan)),
      mac_is_known_(features.Has(kNetMac)),
      mac_(mac) {}

void ReceiveFilter::SetMac(const MacAddress& mac) {
  mac_ = mac;
  mac_is_known_ = true;
}

// Hot.
bool ReceiveFilter::Accepts(absl::Span<const uint8_t> prefix) const {
  if (prefix.size() < kEthernetHeaderBytes) return false;
  // "If promiscuous mode is on, the device SHOULD receive all incoming packets.
  // This SHOULD take effect even if one of the other modes [...] is on."
  if (modes_[kPromiscuous]) return true;
  return AcceptsAddress(prefix.first(kBroadcast.size())) && AcceptsVlan(prefix);
}

bool ReceiveFilter::AcceptsAddress(
    absl::Span<const uint8_t> destination) const {
  const bool is_group = (destination[0] & 1) != 0;
  if (!is_group) {
    // "This SHOULD take effect even if VIRTIO_NET_CTRL_RX_ALLUNI is on."
    if (modes_[kNoUnicast]) return false;
    if (!filters_addresses_ || !mac_is_known_ || modes_[kAllUnicast]) {
      return true;
    }
    return std::equal(mac_.begin(), mac_.end(), destination.begin()) ||
           unicast_.Contains(destination);
  }
  if (std::equal(kBroadcast.begin(), kBroadcast.end(), destination.begin())) {
    return !modes_[kNoBroadcast];
  }
  if (modes_[kNoMulticast]) return false;
  if (!filters_addresses_ || modes_[kAllMulticast]) return true;
  return multicast_.Contains(destination);
}

// "The VLAN filter table applies only to VLAN tagged packets." A tag of VLAN 0
// has a priority and no VLAN (IEEE 802.1Q). Service tags (802.1ad) are not
// asked about: drivers put customer VLANs into the table.
bool ReceiveFilter::AcceptsVlan(absl::Span<const uint8_t> prefix) const {
  if (!filters_vlans_) return true;
  if (prefix[12] != 0x81 || prefix[13] != 0x00) return true;
  if (prefix.size() < kPrefixBytes) return false;
  const unsigned vlan = (prefix[14] & 0xfu) << 8 | prefix[15];
  return vlan == 0 || vlans_[vlan];
}

}  // namespace annulus::virtio
