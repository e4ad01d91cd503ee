#include "devices/virtio/net/net_header.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "memory/little_endian.h"

namespace annulus::virtio {
namespace {

// virtio_net_hdr as it is in memory.
struct Wire {
  uint8_t flags;
  uint8_t gso_type;
  memory::Le16 hdr_len;
  memory::Le16 gso_size;
  memory::Le16 csum_start;
  memory::Le16 csum_offset;
  memory::Le16 num_buffers;
};
static_assert(sizeof(Wire) == kNetHeaderBytes);

// Whether these rules have this type of segmentation.
bool Allows(const HeaderRules& rules, uint8_t gso_type) {
  if ((gso_type & kNetGsoEcn) != 0 && !rules.ecn) return false;
  switch (gso_type & ~kNetGsoEcn) {
    case kNetGsoTcpv4:
      return rules.tso4;
    case kNetGsoTcpv6:
      return rules.tso6;
    case kNetGsoUdp:
      return rules.ufo && gso_type == kNetGsoUdp;
    case kNetGsoUdpL4:
      return (rules.uso4 || rules.uso6) && gso_type == kNetGsoUdpL4;
    default:
      return false;
  }
}

}  // namespace

uint32_t DriverHeaderBytes(const FeatureSet& negotiated,
                           const HeaderSplitNumbers& numbers) {
  const size_t fields = negotiated.Has(numbers.header_queue_feature)
                            ? kNetHeaderQueueFieldBytes
                            : 0;
  const size_t header =
      negotiated.Has(kNetHashReport) ? kNetHeaderHashBytes : kNetHeaderBytes;
  return static_cast<uint32_t>(header + fields);
}

NetHeader DecodeNetHeader(absl::Span<const uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kNetHeaderBytes);
  Wire wire;
  std::memcpy(&wire, bytes.data(), sizeof(wire));
  return {.flags = wire.flags,
          .gso_type = wire.gso_type,
          .hdr_len = wire.hdr_len,
          .gso_size = wire.gso_size,
          .csum_start = wire.csum_start,
          .csum_offset = wire.csum_offset,
          .num_buffers = wire.num_buffers};
}

void EncodeNetHeader(const NetHeader& header, absl::Span<uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kNetHeaderBytes);
  const Wire wire = {.flags = header.flags,
                     .gso_type = header.gso_type,
                     .hdr_len = header.hdr_len,
                     .gso_size = header.gso_size,
                     .csum_start = header.csum_start,
                     .csum_offset = header.csum_offset,
                     .num_buffers = header.num_buffers};
  std::memcpy(bytes.data(), &wire, sizeof(wire));
}

HeaderRules TransmitRules(const FeatureSet& features) {
  return {.csum = features.Has(kNetCsum),
          .tso4 = features.Has(kNetHostTso4),
          .tso6 = features.Has(kNetHostTso6),
          .ecn = features.Has(kNetHostEcn),
          .ufo = features.Has(kNetHostUfo),
          .uso4 = features.Has(kNetHostUso),
          .uso6 = features.Has(kNetHostUso)};
}

HeaderRules ReceiveRules(const FeatureSet& features) {
  return {.csum = features.Has(kNetGuestCsum),
          .tso4 = features.Has(kNetGuestTso4),
          .tso6 = features.Has(kNetGuestTso6),
          .ecn = features.Has(kNetGuestEcn),
          .ufo = features.Has(kNetGuestUfo),
          .uso4 = features.Has(kNetGuestUso4),
          .uso6 = features.Has(kNetGuestUso6)};
}

bool CheckNetHeader(const HeaderRules& rules, uint32_t frame_bytes,
                    NetHeader& header) {
  header.num_buffers = 0;
  const bool needs_csum = (header.flags & kNetHeaderNeedsCsum) != 0;
  // "The device MUST ignore flag bits that it does not recognize." (§5.1.6.2.2)
  // DATA_VALID is for received frames; there it needs GUEST_CSUM too.
  header.flags &= kNetHeaderNeedsCsum | kNetHeaderDataValid;
  if (!rules.csum) header.flags &= kNetHeaderNeedsCsum;
  if (needs_csum) {
    // Two bytes of checksum, inside the frame.
    if (!rules.csum ||
        uint32_t{header.csum_start} + header.csum_offset + 2 > frame_bytes) {
      return false;
    }
  } else {
    header.csum_start = header.csum_offset = 0;
  }
  if (header.gso_type == kNetGsoNone) {
    header.gso_size = 0;
    header.hdr_len = 0;
    return true;
  }
  // "If gso_type differs from VIRTIO_NET_HDR_GSO_NONE [...] the driver MUST set
  // the VIRTIO_NET_HDR_F_NEEDS_CSUM bit" and a size (§5.1.6.2.1).
  if (!needs_csum || header.gso_size == 0 || !Allows(rules, header.gso_type)) {
    return false;
  }
  header.hdr_len =
      static_cast<uint16_t>(std::min<uint32_t>(header.hdr_len, frame_bytes));
  return true;
}

}  // namespace annulus::virtio
