#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_POINT_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_POINT_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/net_header.h"

namespace annulus::virtio {

// Where the payload of a frame begins, if it is of a kind that may be split:
// TCP or UDP over IPv4 or IPv6, whole, in clear, and with a payload.
struct SplitPoint {
  uint64_t type = 0;          // kSplitTcp4 and so on; 0: not to be split.
  uint32_t header_bytes = 0;  // Ethernet, IP and transport headers.
  // Tells flows from others, more or less: for predictions only. Of a frame
  // that is not to be split: of its kind.
  uint32_t flow = 0;

  friend bool operator==(const SplitPoint&, const SplitPoint&) = default;
};

// The longest header that there is: two VLAN tags, IPv6, eight extension
// headers of 2048 bytes, TCP with all options.
inline constexpr size_t kMaxSplitHeaderBytes = 14 + 2 * 4 + 40 + 8 * 2048 + 60;
// Enough for nearly all.
inline constexpr size_t kUsualSplitHeaderBytes = 128;

// Hot. Finds the split point of an Ethernet frame of `frame_bytes`, of which
// `prefix` is the beginning: `header` is its virtio_net_hdr, checked.
// False: the prefix is too short to tell, and `point` unchanged. That does not
// happen with a prefix of the whole frame or of kMaxSplitHeaderBytes.
//
// Types that are not enabled and the threshold are the caller's to see to.
//
// Threads: any.
// Trust: the frame is hostile. The walk goes forward only, inside the prefix.
// Allocation: none.
[[nodiscard]] bool FindSplitPoint(absl::Span<const uint8_t> prefix,
                                  uint32_t frame_bytes, const NetHeader& header,
                                  SplitPoint& point);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_POINT_H_
