#ifndef DEVICES_VIRTIO_NET_NET_OPTIONS_H_
#define DEVICES_VIRTIO_NET_NET_OPTIONS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

using MacAddress = std::array<uint8_t, 6>;

// How much may pass in one direction; 0: as much as there is.
struct RateLimit {
  uint64_t bytes_per_second = 0;
  uint64_t burst_bytes = 0;  // 0: a tenth of a second's worth.
  uint64_t frames_per_second = 0;
  uint64_t burst_frames = 0;
};

// What a network device is to be like. What it offers to the driver is what
// `features` has, the device implements, and its backend can do.
struct NetOptions {
  std::string name = "net0";  // Of its threads and in log lines.
  FeatureSet features;        // What may be offered: see AllNetFeatures().
  MacAddress mac = {};
  uint16_t mtu = 0;           // 68 to 65535, or 0: the driver is told of none.
  uint16_t queue_pairs = 1;   // 1 to 16; the backend has to have as many.
  uint16_t queue_size = 256;  // A power of two.
  uint32_t speed_mbps = kNetSpeedUnknown;
  HeaderSplitOptions header_split;
  RateLimit receive_limit;
  RateLimit transmit_limit;
  // How long a worker looks for further work before it sleeps.
  absl::Duration poll_duration = absl::ZeroDuration();
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_OPTIONS_H_
