#ifndef DEVICES_VIRTIO_NET_NET_FEATURE_NAMES_H_
#define DEVICES_VIRTIO_NET_NET_FEATURE_NAMES_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// The feature bits of a network device that Annulus implements: their names in
// configurations, and which of them needs which, virtio 1.4 §5.1.3.1 "Feature
// bit requirements".

// What a feature needs beside itself.
enum class NetFeatureNeed : uint8_t {
  kNothing,
  // A driver must not acknowledge it without (§5.1.3.1).
  kForDriver,
  // §5.1.3.1 is silent, but without the control queue nobody can use it: it is
  // not offered ("SHOULD NOT", §5.1.4.1 "Device Requirements: Device
  // configuration layout"). A driver that acknowledges it alone does no harm.
  kForOffer,
};

struct NetFeature {
  absl::string_view name;  // VIRTIO_NET_F_CSUM is "csum".
  uint32_t bit;
  NetFeatureNeed need = NetFeatureNeed::kNothing;
  // Any of the two does.
  std::array<uint32_t, 2> needed_bits = {};
};

// In the order of the bits.
absl::Span<const NetFeature> NetFeatures();

// Null if there is none.
const NetFeature* FindNetFeature(absl::string_view name);

// All of NetFeatures(), and of the device-independent ones those that a device
// has to do with: INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER.
FeatureSet AllNetFeatures();

// A feature that is there without what it needs.
struct UnmetNetFeature {
  const NetFeature* feature;
  const NetFeature* needed;
  const NetFeature* or_needed;  // Would do as well; null: nothing would.
};

// The first of `features` that a driver must not acknowledge without another;
// nullopt: none. Bits that are not of NetFeatures() do not matter.
//
// Trust: `features` may be guest-controlled.
std::optional<UnmetNetFeature> FindUnmetNetFeature(const FeatureSet& features);

// The same of features that are to be offered: kForOffer counts, too.
std::optional<UnmetNetFeature> FindUnofferableNetFeature(
    const FeatureSet& features);

// `features` without those that cannot be offered because of what is missing.
FeatureSet OfferableNetFeatures(const FeatureSet& features);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_NET_FEATURE_NAMES_H_
