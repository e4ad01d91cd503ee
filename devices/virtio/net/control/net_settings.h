#ifndef DEVICES_VIRTIO_NET_CONTROL_NET_SETTINGS_H_
#define DEVICES_VIRTIO_NET_CONTROL_NET_SETTINGS_H_

#include <cstdint>

#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// The feature bits that GUEST_OFFLOADS_SET switches (virtio 1.4 §5.1.6.5.9
// "Offloads State Configuration"), of those that there are here.
inline constexpr FeatureSet kReceiveOffloads =
    FeatureSet::Of(kNetGuestCsum, kNetGuestTso4, kNetGuestTso6, kNetGuestEcn,
                   kNetGuestUfo, kNetGuestUso4, kNetGuestUso6);

// What the driver sets by the control queue and the data queues' workers act
// upon (virtio 1.4 §5.1.6.5 "Control Virtqueue"). The device's address is
// filter.mac().
struct NetSettings {
  ReceiveFilter filter = {};
  // Frames go to, and come from, the first so many queue pairs. "Multiqueue is
  // disabled by default."
  uint16_t active_pairs = 1;
  RssConfig rss = {};
  // "Upon feature negotiation corresponding offload gets enabled".
  FeatureSet receive_offloads = {};
  // Header-split receive: "type 0", nothing is split.
  SplitSettings split = {};
  HeaderQueues header_queues = {};

  friend bool operator==(const NetSettings&, const NetSettings&) = default;
};

// As they are after the driver negotiated `features`.
inline NetSettings InitialNetSettings(const FeatureSet& features,
                                      const MacAddress& mac) {
  return {.filter = ReceiveFilter(features, mac),
          .receive_offloads = features.Intersection(kReceiveOffloads)};
}

// The same where commands do not come here: frames may go to every one of the
// `pairs`, and somebody else filters them, who knows by what.
inline NetSettings UncontrolledNetSettings(const FeatureSet& features,
                                           const MacAddress& mac,
                                           uint16_t pairs) {
  FeatureSet unfiltered = features;
  unfiltered.Remove(kNetCtrlRx);
  unfiltered.Remove(kNetCtrlVlan);
  NetSettings settings = InitialNetSettings(unfiltered, mac);
  settings.active_pairs = pairs;
  return settings;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_NET_SETTINGS_H_
