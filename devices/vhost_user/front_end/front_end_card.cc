#include "devices/vhost_user/front_end/front_end_card.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::vhost_user {
namespace {

// As many as vring indices in messages can name.
constexpr uint64_t kMaxQueues = kVringIndexMask;
constexpr uint16_t kVsockQueues = 3;

virtio::FeatureSet FromBits(uint64_t bits) {
  virtio::FeatureSet features;
  features.SetPage(0, static_cast<uint32_t>(bits));
  features.SetPage(1, static_cast<uint32_t>(bits >> 32));
  return features;
}

// Those that a back-end may offer and the driver must not see: memory that is
// not the guest's whole, and what only a transport does. (Transports leave out
// their own.)
virtio::FeatureSet ForDriver(uint64_t bits) {
  virtio::FeatureSet features = FromBits(bits);
  features.Remove(virtio::kFeatureAccessPlatform);
  features.Remove(virtio::kFeatureOrderPlatform);
  return features;
}

// What both sides name, of a device whose features are all known here: others
// might stand for queues that it has not got.
virtio::FeatureSet Common(uint64_t bits, const virtio::FeatureSet& known) {
  virtio::FeatureSet features;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if ((bits >> bit & 1) != 0 && known.Has(bit)) features.Add(bit);
  }
  return features;
}

uint64_t LittleEndian(const std::vector<uint8_t>& config, uint32_t at,
                      size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) {
    value |= uint64_t{config[at + i]} << 8 * i;
  }
  return value;
}

void PutLittleEndian(std::vector<uint8_t>& config, uint32_t at, uint64_t value,
                     size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    config[at + i] = static_cast<uint8_t>(value >> 8 * i);
  }
}

}  // namespace

uint32_t FrontEndRng::device_id() const { return virtio::kDeviceIdEntropy; }

absl::StatusOr<FrontEndCard> FrontEndRng::Card(
    const BackEndOffer& offer) const {
  return FrontEndCard{
      .offered = Common(offer.features, may_offer_), .queues = 1, .config = {}};
}

uint32_t FrontEndVsock::device_id() const { return virtio::kDeviceIdSocket; }

uint32_t FrontEndVsock::config_bytes() const {
  return virtio::kVsockConfigBytes;
}

absl::StatusOr<FrontEndCard> FrontEndVsock::Card(
    const BackEndOffer& offer) const {
  if (offer.queue_num != 0 && offer.queue_num < kVsockQueues) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the back-end has %u queues in place of %u",
                        offer.queue_num, kVsockQueues));
  }
  FrontEndCard card = {.offered = Common(offer.features, may_offer_),
                       .queues = kVsockQueues,
                       .config = offer.config};
  if (card.config.empty()) {
    if (cid_ == 0) {
      return absl::InvalidArgumentError(
          "the back-end does not say what the guest's CID is: give one here");
    }
    card.config.resize(virtio::kVsockConfigBytes);
    PutLittleEndian(card.config, virtio::kVsockConfigGuestCid, cid_, 8);
  }
  const uint64_t cid =
      LittleEndian(card.config, virtio::kVsockConfigGuestCid, 8);
  if (cid_ != 0 && cid != cid_) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the CID is %u here, and %u in the back-end", cid_, cid));
  }
  return card;
}

virtio::FeatureSet FrontEndNet::Offerable(
    const virtio::FeatureSet& features) const {
  virtio::FeatureSet offerable = features;
  for (size_t bit = 0; bit < 32 * virtio::FeatureSet::kPages; ++bit) {
    const auto number = static_cast<uint32_t>(bit);
    if (virtio::AllNetFeatures().Has(number) &&
        !options_.may_offer.Has(number)) {
      offerable.Remove(number);
    }
  }
  return virtio::OfferableNetFeatures(offerable);
}

uint32_t FrontEndNet::device_id() const { return virtio::kDeviceIdNetwork; }

uint32_t FrontEndNet::config_bytes() const { return virtio::kNetConfigBytes; }

absl::StatusOr<FrontEndCard> FrontEndNet::Card(
    const BackEndOffer& offer) const {
  if (offer.config.empty()) return CardOfOurs(offer);
  const uint64_t pairs = std::max<uint64_t>(offer.queue_num, 1);
  if (2 * pairs + 1 > kMaxQueues) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the back-end has %u queue pairs", pairs));
  }
  FrontEndCard card = {.offered = Offerable(ForDriver(offer.features)),
                       .queues = static_cast<uint16_t>(2 * pairs),
                       .config = offer.config};
  ANNULUS_RETURN_IF_ERROR(CheckSame(card));
  if (card.offered.Has(virtio::kNetCtrlVq)) ++card.queues;
  // Where the driver looks for the control queue (virtio 1.4 §5.1.2).
  PutLittleEndian(card.config, virtio::kNetConfigMaxPairs, pairs, 2);
  return card;
}

absl::Status FrontEndNet::CheckSame(const FrontEndCard& card) const {
  if (options_.mac_given &&
      (!card.offered.Has(virtio::kNetMac) ||
       !std::equal(options_.mac.begin(), options_.mac.end(),
                   card.config.begin()))) {
    return absl::InvalidArgumentError(
        "the back-end has another address than the one that is given here");
  }
  const uint64_t mtu = card.offered.Has(virtio::kNetMtu)
                           ? LittleEndian(card.config, virtio::kNetConfigMtu, 2)
                           : 0;
  if (options_.mtu != 0 && mtu != options_.mtu) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the MTU is %u here, and %u in the back-end", options_.mtu, mtu));
  }
  return absl::OkStatus();
}

FrontEndCard FrontEndNet::CardOfOurs(const BackEndOffer& offer) const {
  FrontEndCard card = {
      .offered = ForDriver(offer.features), .queues = 2, .config = {}};
  for (const uint32_t bit :
       {virtio::kNetCtrlVq, virtio::kNetStatus, virtio::kNetMtu,
        virtio::kNetSpeedDuplex, virtio::kNetMq, virtio::kNetRss,
        virtio::kNetHashReport, virtio::kNetCtrlGuestOffloads}) {
    card.offered.Remove(bit);
  }
  card.offered.Add(virtio::kNetMac);
  if (options_.mtu != 0) card.offered.Add(virtio::kNetMtu);
  card.offered = Offerable(card.offered);
  card.config.resize(virtio::kNetConfigBytes);
  std::copy(options_.mac.begin(), options_.mac.end(), card.config.begin());
  PutLittleEndian(card.config, virtio::kNetConfigMaxPairs, 1, 2);
  PutLittleEndian(card.config, virtio::kNetConfigMtu, options_.mtu, 2);
  return card;
}

bool FrontEndNet::AcceptFeatures(const virtio::FeatureSet& features) const {
  return !virtio::FindUnmetNetFeature(features).has_value();
}

}  // namespace annulus::vhost_user
