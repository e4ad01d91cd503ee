#ifndef DEVICES_VIRTIO_NET_STEERING_RSS_BYTES_H_
#define DEVICES_VIRTIO_NET_STEERING_RSS_BYTES_H_

#include <cstdint>

#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/net/steering/verification_vectors.h"

// For tests: the data of control commands, as a driver encodes them.

namespace annulus::virtio {

inline FrameBytes Little16(uint16_t value) {
  return {static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8)};
}
inline FrameBytes Little32(uint32_t value) {
  return Joined({Little16(static_cast<uint16_t>(value)),
                 Little16(static_cast<uint16_t>(value >> 16))});
}

inline FrameBytes Little64(uint64_t value) {
  return Joined({Little32(static_cast<uint32_t>(value)),
                 Little32(static_cast<uint32_t>(value >> 32))});
}

// struct virtio_net_rss_config; by itself a legal one for 4 queue pairs.
struct RssBytes {
  uint32_t hash_types = RssConfig::kSupportedHashTypes;
  uint16_t mask = 3;
  uint16_t unclassified = 0;
  FrameBytes table =
      Joined({Little16(0), Little16(1), Little16(2), Little16(3)});
  uint16_t max_tx_vq = 4;
  uint8_t key_length = 40;
  FrameBytes key = VerificationKey();

  FrameBytes Encode() const {
    return Joined({Little32(hash_types),
                   Little16(mask),
                   Little16(unclassified),
                   table,
                   Little16(max_tx_vq),
                   {key_length},
                   key});
  }
};

// struct virtio_net_hash_config.
inline FrameBytes HashBytes(uint32_t hash_types) {
  return Joined({Little32(hash_types), FrameBytes(8), {40}, VerificationKey()});
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_RSS_BYTES_H_
