#include "devices/virtio/net/net_feature_names.h"

#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

using Need = NetFeatureNeed;

constexpr std::array<uint32_t, 2> kCsumBit = {kNetCsum, kNetCsum};
constexpr std::array<uint32_t, 2> kGuestCsumBit = {kNetGuestCsum,
                                                   kNetGuestCsum};
constexpr std::array<uint32_t, 2> kCtrlVqBit = {kNetCtrlVq, kNetCtrlVq};

constexpr NetFeature kFeatures[] = {
    {"csum", kNetCsum},
    {"guest_csum", kNetGuestCsum},
    {"ctrl_guest_offloads", kNetCtrlGuestOffloads, Need::kForOffer, kCtrlVqBit},
    {"mtu", kNetMtu},
    {"mac", kNetMac},
    {"guest_tso4", kNetGuestTso4, Need::kForDriver, kGuestCsumBit},
    {"guest_tso6", kNetGuestTso6, Need::kForDriver, kGuestCsumBit},
    {"guest_ecn",
     kNetGuestEcn,
     Need::kForDriver,
     {kNetGuestTso4, kNetGuestTso6}},
    {"guest_ufo", kNetGuestUfo, Need::kForDriver, kGuestCsumBit},
    {"host_tso4", kNetHostTso4, Need::kForDriver, kCsumBit},
    {"host_tso6", kNetHostTso6, Need::kForDriver, kCsumBit},
    {"host_ecn", kNetHostEcn, Need::kForDriver, {kNetHostTso4, kNetHostTso6}},
    {"host_ufo", kNetHostUfo, Need::kForDriver, kCsumBit},
    {"mrg_rxbuf", kNetMrgRxbuf},
    {"status", kNetStatus},
    {"ctrl_vq", kNetCtrlVq},
    {"ctrl_rx", kNetCtrlRx, Need::kForDriver, kCtrlVqBit},
    {"ctrl_vlan", kNetCtrlVlan, Need::kForDriver, kCtrlVqBit},
    {"ctrl_rx_extra", kNetCtrlRxExtra, Need::kForOffer, kCtrlVqBit},
    {"guest_announce", kNetGuestAnnounce, Need::kForDriver, kCtrlVqBit},
    {"mq", kNetMq, Need::kForDriver, kCtrlVqBit},
    {"ctrl_mac_addr", kNetCtrlMacAddr, Need::kForDriver, kCtrlVqBit},
    {"vq_notf_coal", kNetVqNotfCoal, Need::kForDriver, kCtrlVqBit},
    {"notf_coal", kNetNotfCoal, Need::kForDriver, kCtrlVqBit},
    {"guest_uso4", kNetGuestUso4, Need::kForDriver, kGuestCsumBit},
    {"guest_uso6", kNetGuestUso6, Need::kForDriver, kGuestCsumBit},
    {"host_uso", kNetHostUso, Need::kForDriver, kCsumBit},
    {"hash_report", kNetHashReport, Need::kForOffer, kCtrlVqBit},
    {"guest_hdrlen", kNetGuestHdrlen},
    {"rss", kNetRss, Need::kForDriver, kCtrlVqBit},
    {"speed_duplex", kNetSpeedDuplex},
};

const NetFeature* FindBit(uint32_t bit) {
  for (const NetFeature& feature : kFeatures) {
    if (feature.bit == bit) return &feature;
  }
  return nullptr;
}

bool IsMet(const NetFeature& feature, const FeatureSet& features) {
  return features.Has(feature.needed_bits[0]) ||
         features.Has(feature.needed_bits[1]);
}

bool Counts(Need need, bool offer) {
  switch (need) {
    case Need::kNothing:
      return false;
    case Need::kForDriver:
      return true;
    case Need::kForOffer:
      return offer;
  }
  return false;
}

std::optional<UnmetNetFeature> FindUnmet(const FeatureSet& features,
                                         bool offer) {
  for (const NetFeature& feature : kFeatures) {
    if (features.Has(feature.bit) && Counts(feature.need, offer) &&
        !IsMet(feature, features)) {
      const auto [needed, other] = feature.needed_bits;
      return UnmetNetFeature{&feature, FindBit(needed),
                             other == needed ? nullptr : FindBit(other)};
    }
  }
  return std::nullopt;
}

}  // namespace

absl::Span<const NetFeature> NetFeatures() { return kFeatures; }

const NetFeature* FindNetFeature(absl::string_view name) {
  for (const NetFeature& feature : kFeatures) {
    if (feature.name == name) return &feature;
  }
  return nullptr;
}

FeatureSet AllNetFeatures() {
  FeatureSet all =
      FeatureSet::Of(kFeatureIndirectDesc, kFeatureEventIdx, kFeatureVersion1,
                     kFeatureRingPacked, kFeatureInOrder);
  for (const NetFeature& feature : kFeatures) all.Add(feature.bit);
  return all;
}

std::optional<UnmetNetFeature> FindUnmetNetFeature(const FeatureSet& features) {
  return FindUnmet(features, /*offer=*/false);
}

std::optional<UnmetNetFeature> FindUnofferableNetFeature(
    const FeatureSet& features) {
  return FindUnmet(features, /*offer=*/true);
}

FeatureSet OfferableNetFeatures(const FeatureSet& features) {
  FeatureSet offerable = features;
  // Each round takes one bit away.
  while (const auto unmet = FindUnofferableNetFeature(offerable)) {
    offerable.Remove(unmet->feature->bit);
  }
  return offerable;
}

}  // namespace annulus::virtio
