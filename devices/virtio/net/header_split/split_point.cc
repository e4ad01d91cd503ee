#include "devices/virtio/net/header_split/split_point.h"

#include <bit>
#include <cstring>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "base/check.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {
namespace {

constexpr int kMaxExtensionHeaders = 8;
constexpr size_t kTcpBytes = 20;
constexpr size_t kUdpBytes = 8;

// VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 and _IPV6, which may be added to the
// others: the headers are not those that this walk finds.
constexpr uint8_t kGsoTunnel = 0x20 | 0x40;

template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

enum class Answer : uint8_t { kWhole, kSplit, kPrefixTooShort };

// From the outer header to the inner. What ends a walk early leaves the frame
// whole, or says that the prefix did not reach.
class Walk {
 public:
  Walk(absl::Span<const uint8_t> prefix, uint32_t frame_bytes,
       const NetHeader& header)
      : bytes_(prefix.data()),
        prefix_bytes_(prefix.size()),
        frame_bytes_(frame_bytes),
        header_(header) {}

  void Ethernet();

  Answer answer() const { return answer_; }
  const SplitPoint& point() const { return point_; }

 private:
  void Ipv4(size_t offset);
  void Ipv6(size_t offset);
  void Transport(size_t offset, uint8_t protocol, bool ipv6,
                 uint64_t addresses);

  // Whether the bytes before `end` can be looked at. No header ends behind its
  // frame, however long the prefix is.
  bool Has(size_t end) {
    if (ABSL_PREDICT_TRUE(end <= prefix_bytes_)) return true;
    if (end <= frame_bytes_) answer_ = Answer::kPrefixTooShort;
    return false;
  }

  // REQUIRES: Has(offset + 2).
  uint16_t BigEndian16(size_t offset) const {
    return static_cast<uint16_t>(bytes_[offset] << 8 | bytes_[offset + 1]);
  }

  const uint8_t* const bytes_;
  const size_t prefix_bytes_;
  const size_t frame_bytes_;
  const NetHeader& header_;
  SplitPoint point_;
  Answer answer_ = Answer::kWhole;
};

void Walk::Ethernet() {
  if (!Has(kEthernetHeaderBytes)) return;
  size_t offset = kEtherTypeOffset;
  uint16_t type = BigEndian16(offset);
  for (int tags = 0; ABSL_PREDICT_FALSE(type == kEtherTypeVlan ||
                                        type == kEtherTypeServiceVlan) &&
                     tags < kMaxVlanTags;
       ++tags) {
    offset += kVlanTagBytes;
    if (!Has(offset + 2)) return;
    type = BigEndian16(offset);
  }
  point_.flow = uint32_t{type} << 8;
  if (type == kEtherTypeIpv4) Ipv4(offset + 2);
  if (type == kEtherTypeIpv6) Ipv6(offset + 2);
}

// RFC 9293, RFC 768. Inlined, as all others are by themselves, so that a walk
// has nothing in memory.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void Walk::Transport(size_t offset,
                                                         uint8_t protocol,
                                                         bool ipv6,
                                                         uint64_t addresses) {
  size_t end = offset + kUdpBytes;
  uint64_t type = ipv6 ? kSplitUdp6 : kSplitUdp4;
  if (protocol == kIpTcp) {
    if (!Has(offset + kTcpBytes)) return;
    const size_t header_bytes = size_t{4} * (bytes_[offset + 12] >> 4);
    if (header_bytes < kTcpBytes) return;
    end = offset + header_bytes;
    type = ipv6 ? kSplitTcp6 : kSplitTcp4;
  }
  // Not beyond the frame, and not without a payload.
  if (end >= frame_bytes_) return;
  if ((header_.gso_type & kGsoTunnel) != 0) return;
  if ((header_.flags & kNetHeaderNeedsCsum) != 0 &&
      header_.csum_start != offset) {
    return;  // The sender sees other headers.
  }
  if (!Has(end)) return;
  point_.type = type;
  point_.header_bytes = static_cast<uint32_t>(end);
  // Multiplied, so that all bits of what was added up end in the upper half.
  const uint64_t ports = Load<uint32_t>(bytes_ + offset);
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  point_.flow = static_cast<uint32_t>(
      ((addresses ^ std::rotl(ports, 30)) + type) * kMultiplier >> 32);
  answer_ = Answer::kSplit;
}

// RFC 791.
void Walk::Ipv4(size_t offset) {
  if (!Has(offset + kIpv4HeaderBytes)) return;
  const uint8_t* const ip = bytes_ + offset;
  const size_t header_bytes = size_t{4} * (ip[0] & 0xf);
  if (ip[0] >> 4 != 4 || header_bytes < kIpv4HeaderBytes) return;
  const uint8_t protocol = ip[9];
  point_.flow |= protocol;
  if ((BigEndian16(offset + 6) & kIpv4MoreFragmentsOrOffset) != 0) return;
  // Padded. A length that has not even room for the header comes to that, too:
  // a longer frame goes on behind it, a shorter one has no payload.
  if (offset + BigEndian16(offset + 2) < frame_bytes_) return;
  if (protocol != kIpTcp && protocol != kIpUdp) return;
  Transport(offset + header_bytes, protocol, /*ipv6=*/false,
            Load<uint64_t>(ip + 12));
}

// RFC 8200.
void Walk::Ipv6(size_t offset) {
  if (!Has(offset + kIpv6HeaderBytes)) return;
  const uint8_t* const ip = bytes_ + offset;
  if (ip[0] >> 4 != 6) return;
  uint8_t next = ip[6];
  point_.flow |= next;
  // 0: a jumbogram (RFC 2675), which ends where the frame does.
  const size_t length = BigEndian16(offset + 4);
  if (length != 0 && offset + kIpv6HeaderBytes + length < frame_bytes_) return;
  // By no two distances that differ by whole bytes: bytes of addresses are
  // alike.
  const uint64_t addresses = Load<uint64_t>(ip + 8) ^
                             std::rotl(Load<uint64_t>(ip + 16), 17) ^
                             std::rotl(Load<uint64_t>(ip + 24), 35) ^
                             std::rotl(Load<uint64_t>(ip + 32), 53);
  size_t here = offset + kIpv6HeaderBytes;
  for (int headers = 0; next != kIpTcp && next != kIpUdp; ++headers) {
    if (next != kIpHopByHop && next != kIpRouting &&
        next != kIpDestinationOptions && next != kIpAuthentication) {
      return;  // A fragment, encrypted, or of no interest.
    }
    if (headers == kMaxExtensionHeaders || !Has(here + 2)) return;
    const uint8_t kind = next;
    next = bytes_[here];
    here += Ipv6ExtensionBytes(kind, bytes_[here + 1]);
  }
  Transport(here, next, /*ipv6=*/true, addresses);
}

}  // namespace

// Hot.
bool FindSplitPoint(absl::Span<const uint8_t> prefix, uint32_t frame_bytes,
                    const NetHeader& header, SplitPoint& point) {
  ANNULUS_DCHECK(prefix.size() <= frame_bytes);
  Walk walk(prefix, frame_bytes, header);
  walk.Ethernet();
  if (ABSL_PREDICT_FALSE(walk.answer() == Answer::kPrefixTooShort)) {
    return false;
  }
  point = walk.point();
  return true;
}

}  // namespace annulus::virtio
