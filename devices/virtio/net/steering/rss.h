#ifndef DEVICES_VIRTIO_NET_STEERING_RSS_H_
#define DEVICES_VIRTIO_NET_STEERING_RSS_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/net/steering/toeplitz.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {

// The hash of a frame as its header reports it (virtio 1.4 §5.1.6.4.5 "Hash
// reporting for incoming packets").
struct FlowHash {
  uint32_t value = 0;
  uint16_t report = 0;  // VIRTIO_NET_HASH_REPORT_*; 0: not calculated.

  friend bool operator==(const FlowHash&, const FlowHash&) = default;
};

// How frames are hashed, and what becomes of the hash: virtio 1.4 §5.1.6.5.7
// "Receive-side scaling (RSS)" and §5.1.6.5.6.4 "Hash calculation". As it is
// made, it hashes nothing and steers nothing.
//
// Threads: a value type; const functions from any thread.
// Trust: the commands' bytes are guest-controlled. A parsed table holds no
//   queue pair that is not there.
// Allocation: none.
class RssConfig {
 public:
  // The bits of supported_hash_types in the configuration space.
  static constexpr uint32_t kSupportedHashTypes =
      1u << kNetHashIpv4 | 1u << kNetHashTcpv4 | 1u << kNetHashUdpv4 |
      1u << kNetHashIpv6 | 1u << kNetHashTcpv6 | 1u << kNetHashUdpv6 |
      1u << kNetHashIpEx | 1u << kNetHashTcpEx | 1u << kNetHashUdpEx;

  // From the data of VIRTIO_NET_CTRL_MQ_RSS_CONFIG, for a device with
  // `max_pairs` queue pairs. nullopt where a rule is broken: nothing but
  // exactly one struct virtio_net_rss_config is accepted.
  static std::optional<RssConfig> ParseRss(absl::Span<const uint8_t> data,
                                           uint16_t max_pairs);

  // From the data of VIRTIO_NET_CTRL_MQ_HASH_CONFIG: steers nothing.
  static std::optional<RssConfig> ParseHash(absl::Span<const uint8_t> data);

  // Hot. The hash of the frame that begins with `prefix`; see ParseFlowKey().
  FlowHash Hash(absl::Span<const uint8_t> prefix) const;

  // Hot. The queue pair, from 0, whose receive queue a frame with this hash is
  // for. 0 where nothing is steered.
  uint16_t QueuePair(const FlowHash& hash) const {
    if (hash.report == 0) return unclassified_;
    return table_[hash.value & mask_];
  }

  // False: Hash() would not calculate any.
  bool hashes() const { return hash_types_ != 0; }

  // Whether frames go where QueuePair() says, and not by automatic receive
  // steering.
  bool steers() const { return steers_; }

  // Back to automatic steering; what is hashed stays.
  void StopSteering();

  // So many queue pairs, from the first on, are used for receiving or may be
  // used for transmitting. Meaningful where it steers.
  uint16_t active_pairs() const { return active_pairs_; }

  friend bool operator==(const RssConfig&, const RssConfig&) = default;

 private:
  uint32_t hash_types_ = 0;
  Toeplitz toeplitz_;
  bool steers_ = false;
  uint16_t active_pairs_ = 1;
  uint16_t unclassified_ = 0;
  uint16_t mask_ = 0;
  std::array<uint16_t, kNetRssTableEntries> table_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_STEERING_RSS_H_
