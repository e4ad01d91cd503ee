#include "devices/virtio/net/net_header.h"

#include <algorithm>

#include "base/check.h"

namespace annulus::virtio {
namespace {

uint16_t Load16(absl::Span<const uint8_t> bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] | bytes[offset + 1] << 8);
}

void Store16(absl::Span<uint8_t> bytes, size_t offset, uint16_t value) {
  bytes[offset] = static_cast<uint8_t>(value);
  bytes[offset + 1] = static_cast<uint8_t>(value >> 8);
}

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

NetHeader DecodeNetHeader(absl::Span<const uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kNetHeaderBytes);
  return {.flags = bytes[0],
          .gso_type = bytes[1],
          .hdr_len = Load16(bytes, 2),
          .gso_size = Load16(bytes, 4),
          .csum_start = Load16(bytes, 6),
          .csum_offset = Load16(bytes, 8),
          .num_buffers = Load16(bytes, 10)};
}

void EncodeNetHeader(const NetHeader& header, absl::Span<uint8_t> bytes) {
  ANNULUS_DCHECK(bytes.size() >= kNetHeaderBytes);
  bytes[0] = header.flags;
  bytes[1] = header.gso_type;
  Store16(bytes, 2, header.hdr_len);
  Store16(bytes, 4, header.gso_size);
  Store16(bytes, 6, header.csum_start);
  Store16(bytes, 8, header.csum_offset);
  Store16(bytes, 10, header.num_buffers);
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
