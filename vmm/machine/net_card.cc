#include "vmm/machine/net_card.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/backend/passt_backend.h"
#include "devices/virtio/net/backend/pcap_recorder.h"
#include "devices/virtio/net/backend/tap_backend.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/switch/frame_switch_port.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "vmm/config/header_split_config.h"
#include "vmm/config/mac_address.h"
#include "vmm/machine/worker_policy_of.h"

namespace annulus {
namespace {

using BackendOr = absl::StatusOr<std::unique_ptr<virtio::NetBackend>>;

virtio::RateLimit Limit(const RateLimitConfig& limit) {
  return {.bytes_per_second = limit.bytes_per_second,
          .burst_bytes = limit.burst_bytes,
          .frames_per_second = limit.frames_per_second,
          .burst_frames = limit.burst_frames};
}

absl::StatusOr<MacBytes> RandomMac() {
  MacBytes bytes;
  // Up to 256 bytes come at once; only the boot of the host makes it wait.
  if (::getrandom(bytes.data(), bytes.size(), 0) !=
      static_cast<ssize_t>(bytes.size())) {
    return absl::ErrnoToStatus(errno, "making a random address for a card");
  }
  return LocalMac(bytes);
}

BackendOr MakeBackend(const NetConfig& config, NetResources& resources) {
  const auto pairs = static_cast<uint16_t>(config.queue_pairs);
  switch (config.backend) {
    case NetConfig::Backend::kTap:
      return virtio::TapBackend::Create(std::move(resources.taps));
    case NetConfig::Backend::kLoopback:
      return virtio::LoopbackBackend::Create(pairs);
    case NetConfig::Backend::kNull:
      return virtio::NullBackend::Create(
          {.queue_pairs = pairs, .generate_bytes = config.generate_bytes});
    case NetConfig::Backend::kSwitch:
      if (resources.frame_switch == nullptr) {
        return absl::InvalidArgumentError("was not made");
      }
      return virtio::FrameSwitchPort::Create(std::move(resources.frame_switch),
                                             pairs);
    case NetConfig::Backend::kPasst:
      return virtio::PasstBackend::Create(std::move(resources.socket));
    case NetConfig::Backend::kVhostUser:  // Not this kind of card.
    case NetConfig::Backend::kNone:
      break;
  }
  return absl::InvalidArgumentError("is not given");
}

absl::Status At(const CardName& card, absl::string_view field,
                const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(card.field, ".", field, ": ",
                                                  status.message()));
}

// What the user called it.
absl::string_view BackendField(const NetConfig& config) {
  switch (config.backend) {
    case NetConfig::Backend::kTap:
      return config.tap_fds.empty() ? "tap" : "tap_fds";
    case NetConfig::Backend::kPasst:
      return "passt";
    case NetConfig::Backend::kSwitch:
      return "switch_name";
    case NetConfig::Backend::kNone:
    case NetConfig::Backend::kVhostUser:
    case NetConfig::Backend::kLoopback:
    case NetConfig::Backend::kNull:
      break;
  }
  return "backend";
}

}  // namespace

virtio::FeatureSet NetFeaturesOf(const NetConfig& config) {
  virtio::FeatureSet features = virtio::AllNetFeatures();
  for (const std::string& name : config.disabled_features) {
    if (const virtio::NetFeature* feature = virtio::FindNetFeature(name)) {
      features.Remove(feature->bit);
    }
  }
  const struct {
    bool on;
    uint32_t bit;
  } kSwitches[] = {
      {config.virtio.packed, virtio::kFeatureRingPacked},
      {config.virtio.event_idx, virtio::kFeatureEventIdx},
      {config.virtio.indirect_desc, virtio::kFeatureIndirectDesc},
      {config.virtio.in_order, virtio::kFeatureInOrder},
  };
  for (const auto& feature : kSwitches) {
    if (!feature.on) features.Remove(feature.bit);
  }
  return features;
}

absl::StatusOr<MacBytes> NetMacOf(const NetConfig& config,
                                  const std::string& name, LogSink& log) {
  if (const std::optional<MacBytes> mac = ParseMac(config.mac)) return *mac;
  ANNULUS_ASSIGN_OR_RETURN(const MacBytes mac, RandomMac());
  log.Log(LogSeverity::kDebug,
          absl::StrCat(name, ": its address is ", FormatMac(mac)));
  return mac;
}

absl::StatusOr<NetCard> MakeNetCard(const NetConfig& config,
                                    const CardName& name,
                                    NetResources resources, LogSink& log) {
  NetCard card;
  card.options.name = name.name;
  card.options.features = NetFeaturesOf(config);
  ANNULUS_ASSIGN_OR_RETURN(card.options.mac,
                           NetMacOf(config, card.options.name, log));
  card.options.mtu = static_cast<uint16_t>(config.mtu);
  card.options.queue_pairs = static_cast<uint16_t>(config.queue_pairs);
  card.options.queue_size = static_cast<uint16_t>(config.queue_size);
  if (config.speed_mbps != 0) card.options.speed_mbps = config.speed_mbps;
  card.options.header_split = HeaderSplitOptionsOf(config.header_split);
  card.options.receive_limit = Limit(config.receive_limit);
  card.options.transmit_limit = Limit(config.transmit_limit);
  card.options.workers = WorkerPolicyOf(config);
  BackendOr backend = MakeBackend(config, resources);
  if (!backend.ok()) return At(name, BackendField(config), backend.status());
  card.backend = *std::move(backend);
  if (config.queue_pairs > card.backend->queue_pairs()) {
    return absl::InvalidArgumentError(absl::StrCat(
        name.field, ".queue_pairs: ", config.queue_pairs, ", but ",
        BackendField(config), " has ", card.backend->queue_pairs()));
  }
  if (config.header_split.enabled &&
      !card.backend->offloads().Has(virtio::kNetGuestCsum)) {
    return absl::InvalidArgumentError(absl::StrCat(
        name.field, ".header_split.enabled: needs guest_csum, which ",
        BackendField(config), " does not have"));
  }
  if (resources.pcap.valid()) {
    auto recorder = virtio::PcapRecorder::Create(
        std::move(card.backend), std::move(resources.pcap), log);
    if (!recorder.ok()) return At(name, "pcap", recorder.status());
    card.backend = *std::move(recorder);
  }
  return card;
}

}  // namespace annulus
