#ifndef DEVICES_VIRTIO_NET_NET_OPTIONS_H_
#define DEVICES_VIRTIO_NET_NET_OPTIONS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/worker/polling_threads.h"
#include "devices/virtio/worker/worker_policy.h"

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
  // Commands of the driver end elsewhere, as those of a vhost-user front-end's
  // guest do, which enables queues accordingly: all queue pairs are active from
  // the start, whether or not MQ was negotiated; nothing is filtered; and what
  // only the control queue can set is not offered. If the queue behind the last
  // pair is started nevertheless, it is the control queue, and from then on
  // everything is as that of a device whose control queue is fresh.
  bool front_end_controls = false;
  uint32_t speed_mbps = kNetSpeedUnknown;
  HeaderSplitOptions header_split;
  RateLimit receive_limit;
  RateLimit transmit_limit;
  WorkerPolicy workers = {};  // Of its data queues.
  // Where these find others to share a thread with that always polls; null:
  // among themselves only.
  std::shared_ptr<PollingThreads> polling = nullptr;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_OPTIONS_H_
