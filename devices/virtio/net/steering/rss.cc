#include "devices/virtio/net/steering/rss.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/steering/flow_key.h"

namespace annulus::virtio {
namespace {

// The hash types for one kind of packet, by what is hashed.
struct HashTypes {
  uint32_t addresses;
  uint32_t tcp;
  uint32_t udp;
};

constexpr HashTypes kIpv4 = {kNetHashIpv4, kNetHashTcpv4, kNetHashUdpv4};
constexpr HashTypes kIpv6 = {kNetHashIpv6, kNetHashTcpv6, kNetHashUdpv6};
constexpr HashTypes kIpv6Extended = {kNetHashIpEx, kNetHashTcpEx,
                                     kNetHashUdpEx};

// §5.1.6.4.3.2 to .4: the first enabled type that the packet is of.
FlowHash HashAs(const HashTypes& types, uint32_t enabled,
                const Toeplitz& toeplitz, const FlowKey& key,
                const FlowKey::Input& input) {
  const auto is_enabled = [enabled](uint32_t type) {
    return (enabled >> type & 1) != 0;
  };
  uint32_t type = types.addresses;
  size_t bytes = key.address_bytes();
  if (key.transport == FlowKey::Transport::kTcp && is_enabled(types.tcp)) {
    type = types.tcp;
    bytes += 4;
  } else if (key.transport == FlowKey::Transport::kUdp &&
             is_enabled(types.udp)) {
    type = types.udp;
    bytes += 4;
  } else if (!is_enabled(types.addresses)) {
    return {};
  }
  // "VIRTIO_NET_HASH_TYPE_XXX = 1 << (VIRTIO_NET_HASH_REPORT_XXX - 1)"
  return {.value = toeplitz.Hash(absl::MakeConstSpan(input).first(bytes)),
          .report = static_cast<uint16_t>(type + 1)};
}

bool AreSupported(uint32_t hash_types) {
  return (hash_types & ~RssConfig::kSupportedHashTypes) == 0;
}

// hash_key_length and hash_key_data, the end of both structures. A key shorter
// than the device's is followed by zeros; one of no bytes makes sense where
// nothing is hashed.
std::optional<Toeplitz> TakeKey(CommandData& data, uint32_t hash_types) {
  const uint8_t length = data.Take<uint8_t>();
  const absl::Span<const uint8_t> key = data.TakeBytes(length);
  if (!data.Complete() || length > kNetRssKeyBytes) return std::nullopt;
  if (length == 0 && hash_types != 0) return std::nullopt;
  return Toeplitz(key);
}

}  // namespace

std::optional<RssConfig> RssConfig::ParseRss(absl::Span<const uint8_t> data,
                                             uint16_t max_pairs) {
  CommandData fields(data);
  RssConfig config;
  config.steers_ = true;
  config.hash_types_ = fields.Take<uint32_t>();
  if (!AreSupported(config.hash_types_)) return std::nullopt;
  // "The number of entries in indirection_table (indirection_table_mask + 1)
  // MUST be a power of two", and the mask less than
  // rss_max_indirection_table_length.
  config.mask_ = fields.Take<uint16_t>();
  if (config.mask_ >= kNetRssTableEntries ||
      !std::has_single_bit(config.mask_ + 1u)) {
    return std::nullopt;
  }
  // A struct rss_rq_id: the pair, for receive queues have even indices, and a
  // reserved bit at the top, which makes it too great.
  config.unclassified_ = fields.Take<uint16_t>();
  uint16_t greatest = config.unclassified_;
  for (size_t i = 0; i <= config.mask_; ++i) {
    config.table_[i] = fields.Take<uint16_t>();
    greatest = std::max(greatest, config.table_[i]);
  }
  if (greatest >= max_pairs) return std::nullopt;
  const uint16_t max_tx_vq = fields.Take<uint16_t>();
  if (max_tx_vq < 1 || max_tx_vq > max_pairs) return std::nullopt;
  config.active_pairs_ =
      std::max(max_tx_vq, static_cast<uint16_t>(greatest + 1));
  const std::optional<Toeplitz> key = TakeKey(fields, config.hash_types_);
  if (!key.has_value()) return std::nullopt;
  config.toeplitz_ = *key;
  return config;
}

std::optional<RssConfig> RssConfig::ParseHash(absl::Span<const uint8_t> data) {
  CommandData fields(data);
  RssConfig config;
  config.hash_types_ = fields.Take<uint32_t>();
  if (!AreSupported(config.hash_types_)) return std::nullopt;
  // "Field reserved MUST contain zeroes", but Linux fills the same structure
  // for both commands, and leaves max_tx_vq in it.
  fields.TakeBytes(4 * sizeof(uint16_t));
  const std::optional<Toeplitz> key = TakeKey(fields, config.hash_types_);
  if (!key.has_value()) return std::nullopt;
  config.toeplitz_ = *key;
  return config;
}

// Hot.
FlowHash RssConfig::Hash(absl::Span<const uint8_t> prefix) const {
  if (!hashes()) return {};
  const FlowKey key = ParseFlowKey(prefix);
  switch (key.network) {
    case FlowKey::Network::kNone:
      return {};
    case FlowKey::Network::kIpv4:
      return HashAs(kIpv4, hash_types_, toeplitz_, key, key.input);
    case FlowKey::Network::kIpv6:
      break;
  }
  if (key.has_extension_headers) {
    const FlowHash hash =
        HashAs(kIpv6Extended, hash_types_, toeplitz_, key, key.extended_input);
    if (hash.report != 0) return hash;
    // "Else skip IPv6 extension headers and calculate the hash as defined for
    // an IPv6 packet without extension headers"
  }
  return HashAs(kIpv6, hash_types_, toeplitz_, key, key.input);
}

void RssConfig::StopSteering() {
  steers_ = false;
  active_pairs_ = 1;
  unclassified_ = 0;
  mask_ = 0;
  table_ = {};
}

}  // namespace annulus::virtio
