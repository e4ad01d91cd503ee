#ifndef DEVICES_VIRTIO_NET_NET_HEADER_H_
#define DEVICES_VIRTIO_NET_NET_HEADER_H_

#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {

// virtio_net_hdr in host order (virtio 1.4 §5.1.6 "Device Operation"): what is
// to be done with the frame behind it.
struct NetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = kNetGsoNone;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
  uint16_t num_buffers = 0;

  friend bool operator==(const NetHeader&, const NetHeader&) = default;
};

// How long every header is under these features, in both directions:
// HASH_REPORT adds to it, and so does a queue of header buffers.
uint32_t DriverHeaderBytes(const FeatureSet& negotiated,
                           const HeaderSplitNumbers& numbers);
inline constexpr size_t kMaxDriverHeaderBytes =
    kNetHeaderHashBytes + kNetHeaderQueueFieldBytes;

// REQUIRES: kNetHeaderBytes or more; what follows them is left alone.
NetHeader DecodeNetHeader(absl::Span<const uint8_t> bytes);
void EncodeNetHeader(const NetHeader& header, absl::Span<uint8_t> bytes);

// Hot. Whether all fields are 0 but num_buffers, which has no meaning before it
// is known where the frame goes, and which drivers leave as they received it:
// nothing is to be done, the common case of short frames. REQUIRES:
// bytes.size() >= kNetHeaderBytes.
inline bool IsPlainNetHeader(absl::Span<const uint8_t> bytes) {
  uint64_t first;
  uint16_t csum_offset;
  std::memcpy(&first, bytes.data(), sizeof(first));
  std::memcpy(&csum_offset, bytes.data() + sizeof(first), sizeof(csum_offset));
  return (first | csum_offset) == 0;
}

// Which fields of a header may be used in one direction.
struct HeaderRules {
  bool csum = false;  // NEEDS_CSUM.
  bool tso4 = false;
  bool tso6 = false;
  bool ecn = false;
  bool ufo = false;
  bool uso4 = false;
  bool uso6 = false;

  bool segments() const { return tso4 || tso6 || ufo || uso4 || uso6; }
};

// What a driver with these negotiated features may ask for when it transmits,
// and what it is prepared to be given when it receives.
HeaderRules TransmitRules(const FeatureSet& features);
HeaderRules ReceiveRules(const FeatureSet& features);

// Hot. Checks a header against the frame behind it, of `frame_bytes`, and makes
// it fit to be passed on: fields that mean nothing become 0, and hdr_len, which
// is a hint that nobody may trust (§5.1.6.2.1 "Driver Requirements: Packet
// Transmission"), does not lead out of the frame. False: the header contradicts
// itself, the frame or `rules`, and the frame is to be dropped.
[[nodiscard]] bool CheckNetHeader(const HeaderRules& rules,
                                  uint32_t frame_bytes, NetHeader& header);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_HEADER_H_
