#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLIT_OPTIONS_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLIT_OPTIONS_H_

#include <cstdint>

#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {

// What of header-split receive a network device offers to its driver.
struct HeaderSplitOptions {
  bool offered = false;

  // Which methods the driver may choose.
  bool chain = true;          // A
  bool buffers = true;        // B
  bool small_buffers = true;  // C
  bool header_queue = true;   // Q

  // hds_thresh may be from the first to the second; a command that has none
  // (SET) means the first.
  uint32_t min_threshold = 0;
  uint32_t max_threshold = kNetMaxFrameBytes;

  HeaderSplitNumbers numbers = {};

  friend bool operator==(const HeaderSplitOptions&,
                         const HeaderSplitOptions&) = default;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLIT_OPTIONS_H_
