#include "vmm/config/validate_net_config.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "vmm/config/field_checks.h"
#include "vmm/config/header_split_config.h"
#include "vmm/config/mac_address.h"
#include "vmm/config/validate_vhost_user_config.h"
#include "vmm/config/validate_workers_config.h"

namespace annulus {
namespace {

using Backend = NetConfig::Backend;
using virtio::FeatureSet;
using virtio::NetFeature;

// What the kernel lets an interface be called, and what it takes as it is: "%"
// would be a pattern.
bool IsTapName(absl::string_view name) {
  if (name.size() > kMaxTapName || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '/' &&
           c != ':' && c != '%';
  });
}

// One card; `at` is "net[0]".
class CardValidator {
 public:
  CardValidator(const std::string& at, const NetConfig& net)
      : at_(at), net_(net) {}

  absl::Status Validate() const {
    ANNULUS_RETURN_IF_ERROR(ValidateBackend());
    ANNULUS_RETURN_IF_ERROR(CheckPath(Field("pcap"), net_.pcap));
    ANNULUS_RETURN_IF_ERROR(ValidateMac());
    ANNULUS_RETURN_IF_ERROR(ValidateNumbers());
    ANNULUS_RETURN_IF_ERROR(ValidateFeatures());
    ANNULUS_RETURN_IF_ERROR(
        ValidateLimit(Field("receive_limit"), net_.receive_limit));
    ANNULUS_RETURN_IF_ERROR(
        ValidateLimit(Field("transmit_limit"), net_.transmit_limit));
    return ValidateSplit();
  }

 private:
  std::string Field(absl::string_view name) const {
    return absl::StrCat(at_, ".", name);
  }

  absl::Status ValidateBackend() const {
    if (net_.backend == Backend::kNone) {
      return WrongField(Field("backend"),
                        "is not given: TAP, PASST, LOOPBACK, NULL, SWITCH or "
                        "VHOST_USER");
    }
    // What another backend would want says that somebody is mistaken.
    if (net_.backend != Backend::kTap) {
      constexpr absl::string_view kNotTap("is given, but backend is not TAP");
      if (!net_.tap.empty()) return WrongField(Field("tap"), kNotTap);
      if (!net_.tap_fds.empty()) return WrongField(Field("tap_fds"), kNotTap);
      if (net_.create_tap) return WrongField(Field("create_tap"), kNotTap);
    }
    if (net_.backend != Backend::kPasst && !net_.passt.empty()) {
      return WrongField(Field("passt"), "is given, but backend is not PASST");
    }
    ANNULUS_RETURN_IF_ERROR(ValidateVhostUser(at_, net_.vhost_user));
    if (net_.backend != Backend::kVhostUser && net_.vhost_user.given()) {
      return WrongField(Field("vhost_user"),
                        "is given, but backend is not VHOST_USER");
    }
    if (net_.backend != Backend::kSwitch && !net_.switch_name.empty()) {
      return WrongField(Field("switch_name"),
                        "is given, but backend is not SWITCH");
    }
    if (net_.backend != Backend::kNull && net_.generate_bytes != 0) {
      return WrongField(Field("generate_bytes"),
                        "is given, but backend is not NULL");
    }
    switch (net_.backend) {
      case Backend::kTap:
        return net_.tap_fds.empty() ? ValidateTap() : ValidateTapFds();
      case Backend::kPasst:
        return ValidatePasst();
      case Backend::kVhostUser:
        return ValidateExternal();
      case Backend::kSwitch:
        return ValidateSwitch();
      case Backend::kNull:
        return ValidateGenerator();
      case Backend::kNone:
      case Backend::kLoopback:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status ValidateSwitch() const {
    const std::string& name = net_.switch_name;
    if (name.empty()) {
      return WrongField(Field("switch_name"),
                        "is not given, but backend is SWITCH");
    }
    const bool printable =
        std::all_of(name.begin(), name.end(),
                    [](unsigned char c) { return absl::ascii_isgraph(c); });
    if (name.size() > kMaxSwitchName || !printable) {
      return WrongField(
          Field("switch_name"),
          absl::StrCat(Quoted(name), " is not the name of a switch: 1 to ",
                       kMaxSwitchName, " characters like lan0"));
    }
    return absl::OkStatus();
  }

  absl::Status ValidateGenerator() const {
    if (net_.generate_bytes == 0) return absl::OkStatus();
    return CheckRange(Field("generate_bytes"), net_.generate_bytes,
                      kMinGeneratedFrame, virtio::kNetMaxFrameBytes);
  }

  absl::Status ValidateTap() const {
    if (net_.tap.empty()) {
      return WrongField(Field("tap"),
                        "is not given, nor is tap_fds, but backend is TAP");
    }
    if (!IsTapName(net_.tap)) {
      return WrongField(Field("tap"),
                        absl::StrCat(Quoted(net_.tap),
                                     " is not the name of an interface: 1 to ",
                                     kMaxTapName, " characters like tap0"));
    }
    return absl::OkStatus();
  }

  absl::Status ValidateTapFds() const {
    if (!net_.tap.empty()) {
      return WrongField(Field("tap_fds"), "is given, but tap is, too");
    }
    if (net_.create_tap) {
      return WrongField(Field("create_tap"),
                        "is given, but tap_fds are open already");
    }
    for (size_t i = 0; i < net_.tap_fds.size(); ++i) {
      ANNULUS_RETURN_IF_ERROR(
          CheckFd(Field(absl::StrCat("tap_fds[", i, "]")), net_.tap_fds[i]));
    }
    if (net_.tap_fds.size() != net_.queue_pairs) {
      return WrongField(Field("tap_fds"),
                        absl::StrCat("has ", net_.tap_fds.size(),
                                     " descriptors for queue_pairs: ",
                                     net_.queue_pairs, "; give one each"));
    }
    return absl::OkStatus();
  }

  absl::Status ValidateExternal() const {
    if (!net_.vhost_user.given()) {
      return WrongField(
          Field("vhost_user.socket"),
          "is not given, nor is vhost_user.fd, but backend is VHOST_USER");
    }
    const NetConfig none;
    return CheckNothingOfOwner(
        at_, {{"queue_pairs", net_.queue_pairs != none.queue_pairs},
              {"speed_mbps", net_.speed_mbps != none.speed_mbps},
              {"pcap", !net_.pcap.empty()},
              {"header_split.enabled", net_.header_split.enabled},
              {"receive_limit", IsLimited(net_.receive_limit)},
              {"transmit_limit", IsLimited(net_.transmit_limit)},
              {"poll", net_.poll != none.poll},
              {"poll_microseconds",
               net_.poll_microseconds != none.poll_microseconds},
              {"worker_cpus", !net_.worker_cpus.empty()}});
  }

  static bool IsLimited(const RateLimitConfig& limit) {
    return limit.bytes_per_second != 0 || limit.frames_per_second != 0;
  }

  absl::Status ValidatePasst() const {
    if (net_.passt.empty()) {
      return WrongField(Field("passt"), "is not given, but backend is PASST");
    }
    ANNULUS_RETURN_IF_ERROR(
        CheckPath(Field("passt"), net_.passt, kMaxSocketPath));
    if (net_.queue_pairs != 1) {
      return WrongField(Field("queue_pairs"),
                        absl::StrCat(net_.queue_pairs, ", but passt has one"));
    }
    return absl::OkStatus();
  }

  absl::Status ValidateMac() const {
    if (net_.mac.empty()) return absl::OkStatus();
    const std::optional<MacBytes> mac = ParseMac(net_.mac);
    if (!mac.has_value()) {
      return WrongField(Field("mac"), absl::StrCat(Quoted(net_.mac),
                                                   " is not an address like "
                                                   "52:54:00:12:34:56"));
    }
    if (IsGroupMac(*mac)) {
      return WrongField(Field("mac"),
                        absl::StrCat(net_.mac,
                                     " is a multicast address: the first byte "
                                     "of a card's is even"));
    }
    if (*mac == MacBytes{}) {
      return WrongField(Field("mac"), "a card cannot have all zeros");
    }
    return absl::OkStatus();
  }

  absl::Status ValidateNumbers() const {
    if (net_.mtu != 0) {
      ANNULUS_RETURN_IF_ERROR(
          CheckRange(Field("mtu"), net_.mtu, kMinMtu, kMaxMtu));
    }
    ANNULUS_RETURN_IF_ERROR(
        CheckRange(Field("queue_pairs"), net_.queue_pairs, 1, kMaxQueuePairs));
    if (!std::has_single_bit(net_.queue_size)) {
      return WrongField(
          Field("queue_size"),
          absl::StrCat(net_.queue_size, " is not a power of two"));
    }
    ANNULUS_RETURN_IF_ERROR(CheckRange(Field("queue_size"), net_.queue_size,
                                       kMinNetQueueSize, kMaxNetQueueSize));
    ANNULUS_RETURN_IF_ERROR(
        CheckRange(Field("speed_mbps"), net_.speed_mbps, 0, kMaxSpeedMbps));
    return ValidateWorkers(at_, net_);
  }

  absl::Status ValidateFeatures() const {
    FeatureSet features = virtio::AllNetFeatures();
    for (size_t i = 0; i < net_.disabled_features.size(); ++i) {
      const NetFeature* feature =
          virtio::FindNetFeature(net_.disabled_features[i]);
      if (feature == nullptr) {
        return WrongField(Field(absl::StrCat("disabled_features[", i, "]")),
                          absl::StrCat(Quoted(net_.disabled_features[i]),
                                       " is not a feature of network cards"));
      }
      features.Remove(feature->bit);
    }
    ANNULUS_RETURN_IF_ERROR(ValidateDependencies(features));
    // Values that the driver is told through a feature.
    const struct {
      absl::string_view field;
      bool given;
      bool can_be_told;
      absl::string_view feature;
    } kTold[] = {
        {"mac", !net_.mac.empty(), features.Has(virtio::kNetMac), "mac"},
        {"mtu", net_.mtu != 0, features.Has(virtio::kNetMtu), "mtu"},
        {"queue_pairs", net_.queue_pairs > 1,
         features.Has(virtio::kNetMq) || features.Has(virtio::kNetRss),
         "mq and rss"},
        {"speed_mbps", net_.speed_mbps != 0,
         features.Has(virtio::kNetSpeedDuplex), "speed_duplex"},
    };
    for (const auto& told : kTold) {
      if (told.given && !told.can_be_told) {
        return WrongField(
            Field(told.field),
            absl::StrCat("is given, but the driver cannot be told: ",
                         told.feature, " disabled"));
      }
    }
    return absl::OkStatus();
  }

  // Names all that is to be done at once.
  absl::Status ValidateDependencies(const FeatureSet& features) const {
    const auto unmet = virtio::FindUnofferableNetFeature(features);
    if (!unmet.has_value()) return absl::OkStatus();
    const FeatureSet offerable = virtio::OfferableNetFeatures(features);
    std::vector<absl::string_view> too;
    for (const NetFeature& feature : virtio::NetFeatures()) {
      if (features.Has(feature.bit) && !offerable.Has(feature.bit)) {
        too.push_back(feature.name);
      }
    }
    std::string needed(unmet->needed->name);
    if (unmet->or_needed != nullptr) {
      absl::StrAppend(&needed, " or ", unmet->or_needed->name);
    }
    return WrongField(
        Field("disabled_features"),
        absl::StrCat(unmet->feature->name, " needs ", needed,
                     ", so disable with it: ", absl::StrJoin(too, ", ")));
  }

  static absl::Status ValidateLimit(const std::string& field,
                                    const RateLimitConfig& limit) {
    if (limit.burst_bytes != 0 && limit.bytes_per_second == 0) {
      return WrongField(absl::StrCat(field, ".burst_bytes"),
                        "is given without bytes_per_second");
    }
    if (limit.burst_frames != 0 && limit.frames_per_second == 0) {
      return WrongField(absl::StrCat(field, ".burst_frames"),
                        "is given without frames_per_second");
    }
    return absl::OkStatus();
  }

  absl::Status ValidateSplit() const {
    ANNULUS_RETURN_IF_ERROR(
        ValidateHeaderSplit(Field("header_split"), net_.header_split));
    if (!net_.header_split.enabled) return absl::OkStatus();
    const std::string enabled = Field("header_split.enabled");
    for (const std::string& feature : net_.disabled_features) {
      // The device wants no more than these two.
      if (feature == "ctrl_vq" || feature == "guest_csum") {
        return WrongField(
            enabled, absl::StrCat("needs ", feature, ", which is disabled"));
      }
    }
    if (net_.backend == Backend::kPasst) {
      return WrongField(enabled, "needs guest_csum, which passt cannot do");
    }
    return absl::OkStatus();
  }

  const std::string& at_;
  const NetConfig& net_;
};

std::string CardName(size_t index) { return absl::StrCat("net[", index, "]"); }

// What two cards cannot both have: each would take it from the other.
absl::Status ValidateUnique(const std::vector<NetConfig>& cards, size_t index) {
  const NetConfig& card = cards[index];
  for (size_t i = 0; i < index; ++i) {
    const NetConfig& other = cards[i];
    const std::string theirs = absl::StrCat(" belongs to ", CardName(i));
    const auto same = [&](absl::string_view field, const std::string& mine,
                          const std::string& value) {
      if (mine.empty() || mine != value) return absl::OkStatus();
      return WrongField(absl::StrCat(CardName(index), ".", field),
                        absl::StrCat(Quoted(mine), theirs));
    };
    ANNULUS_RETURN_IF_ERROR(same("tap", card.tap, other.tap));
    ANNULUS_RETURN_IF_ERROR(same("passt", card.passt, other.passt));
    ANNULUS_RETURN_IF_ERROR(same("pcap", card.pcap, other.pcap));
  }
  return absl::OkStatus();
}

// A descriptor is one queue of one card. REQUIRES: each card is valid, so that
// there are few descriptors.
absl::Status ValidateUniqueFds(const std::vector<NetConfig>& cards) {
  std::vector<uint32_t> seen;
  for (size_t index = 0; index < cards.size(); ++index) {
    for (const uint32_t fd : cards[index].tap_fds) {
      if (std::find(seen.begin(), seen.end(), fd) != seen.end()) {
        return WrongField(absl::StrCat(CardName(index), ".tap_fds"),
                          absl::StrCat(fd, " is given twice"));
      }
      seen.push_back(fd);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateNetConfig(const std::string& at, const NetConfig& net) {
  return CardValidator(at, net).Validate();
}

absl::Status ValidateNetConfigs(const std::vector<NetConfig>& cards) {
  const auto pci = static_cast<size_t>(
      std::count_if(cards.begin(), cards.end(), [](const NetConfig& card) {
        return card.virtio.transport == TransportKind::kPci;
      }));
  if (pci > kMaxNetPci) {
    return WrongField(
        "net", absl::StrCat(pci, " devices on PCI are more than ", kMaxNetPci));
  }
  for (size_t i = 0; i < cards.size(); ++i) {
    const std::string at = CardName(i);
    ANNULUS_RETURN_IF_ERROR(ValidateNetConfig(at, cards[i]));
    ANNULUS_RETURN_IF_ERROR(ValidateUnique(cards, i));
  }
  return ValidateUniqueFds(cards);
}

}  // namespace annulus
