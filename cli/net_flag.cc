#include "cli/net_flag.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/device_options.h"
#include "cli/flag_values.h"
#include "cli/workers_flag.h"
#include "devices/virtio/net/net_feature_names.h"

namespace annulus::cli {

const absl::string_view kNetHelp =
    "A network card; may be repeated, and replaces those of the\n"
    "configuration; docs/networking.md has examples. BACKEND is one of\n"
    "  tap=NAME       that tap interface; with create=on it is made\n"
    "  fd=N[:N...]    inherited descriptors of a tap or macvtap\n"
    "  passt=SOCKET   a running passt: needs no privileges\n"
    "  switch=NAME    cards of the same name, of this process, meet\n"
    "  vhost-user=SOCKET, vhost-user=SOCKET,listen, vhost-user-fd=N\n"
    "                 another process serves the card (of a VM), such as\n"
    "                 annulus device net --socket SOCKET; with listen this\n"
    "                 one makes SOCKET, waits a minute for the other, which\n"
    "                 connects (annulus device net --connect SOCKET), and\n"
    "                 takes the next one after it; N is inherited, and\n"
    "                 listens or is connected: docs/vhost_user.md\n"
    "  loopback       frames come back\n"
    "  null           they are dropped; with generate=BYTES as many of that\n"
    "                 size come as the guest takes\n"
    "followed by any of\n"
    "  pci, mmio      the transport. Default: pci\n"
    "  mac=ADDRESS    52:54:00:12:34:56. Default: random at each start\n"
    "  mtu=N          what the driver is told. Default: nothing\n"
    "  queues=N       queue pairs, 1 to 16. Default: 1\n"
    "  queue_size=N   buffers in a queue. Default: 256\n"
    "  speed=MBPS     what the driver is told. Default: unknown\n"
    "  rx_bytes=SIZE, rx_frames=N, tx_bytes=SIZE, tx_frames=N\n"
    "                 limits per second, to and from the guest;\n"
    "                 rx_burst_bytes=... and so on. Default: none\n"
    "  poll=WHEN      whether queues' threads look for work by themselves:\n"
    "                 always, never, adaptive. Default: adaptive\n"
    "  poll_us=N      adaptive: for how long at most. Default: 32\n"
    "  cpus=N[:N...]  host CPUs of those threads. Default: any\n"
    "  pcap=FILE      record all frames\n"
    "  header-split=on\n"
    "                 offer header-split receive: docs/header_split.md\n"
    "  header-split-methods=abcq\n"
    "                 which methods of it. Default: abcq\n"
    "What it offers, FEATURE=off: packed, event_idx, indirect_desc,\n"
    "in_order, ring_reset, notification_data; csum, guest_csum,\n"
    "ctrl_guest_offloads, mtu, mac, guest_tso4, guest_tso6, guest_ecn,\n"
    "guest_ufo, host_tso4, host_tso6, host_ecn, host_ufo, mrg_rxbuf,\n"
    "status, ctrl_vq, ctrl_rx, ctrl_vlan, ctrl_rx_extra,\n"
    "guest_announce, mq, ctrl_mac_addr, vq_notf_coal, notf_coal,\n"
    "guest_uso4, guest_uso6, host_uso, hash_report, guest_hdrlen,\n"
    "rss, speed_duplex. Default: no card.";

namespace {

using Backend = NetConfig::Backend;

// Of what may pass in a direction.
template <RateLimitConfig NetConfig::*limit, uint64_t RateLimitConfig::*field>
absl::Status SetBytes(absl::string_view value, NetConfig& net) {
  return SetSize<field>(value, net.*limit);
}

template <RateLimitConfig NetConfig::*limit, uint64_t RateLimitConfig::*field>
absl::Status SetFrames(absl::string_view value, NetConfig& net) {
  return SetNumber<field>(value, net.*limit);
}

absl::Status SetHeaderSplit(absl::string_view value, NetConfig& net) {
  return ParseSwitch(value, net.header_split.enabled);
}

// By the letters that the methods are known by.
absl::Status SetMethods(absl::string_view value, NetConfig& net) {
  const auto allowed = [&value](char letter) {
    return absl::StrContains(value, letter);
  };
  if (value.empty() || value.find_first_not_of("abcq") != value.npos) {
    return NotA(value, "one or more of the letters abcq");
  }
  HeaderSplitConfig& split = net.header_split;
  split.chain = allowed('a');
  split.buffers = allowed('b');
  split.small_buffers = allowed('c');
  split.header_queue = allowed('q');
  return absl::OkStatus();
}

constexpr DeviceOption<NetConfig> kOptions[] = {
    {"create", &SetSwitch<&NetConfig::create_tap>},
    {"mac", &SetText<&NetConfig::mac>},
    {"mtu", &SetCount<&NetConfig::mtu>},
    {"queues", &SetCount<&NetConfig::queue_pairs>},
    {"queue_size", &SetCount<&NetConfig::queue_size>},
    {"speed", &SetCount<&NetConfig::speed_mbps>},
    {"poll", &SetPoll<NetConfig>},
    {"poll_us", &SetPollMicroseconds<NetConfig>},
    {"cpus", &SetWorkerCpus<NetConfig>},
    {"pcap", &SetText<&NetConfig::pcap>},
    {"generate", &SetCount<&NetConfig::generate_bytes>},
    {"header-split", &SetHeaderSplit},
    {"header-split-methods", &SetMethods},
    {"rx_bytes",
     &SetBytes<&NetConfig::receive_limit, &RateLimitConfig::bytes_per_second>},
    {"rx_burst_bytes",
     &SetBytes<&NetConfig::receive_limit, &RateLimitConfig::burst_bytes>},
    {"rx_frames", &SetFrames<&NetConfig::receive_limit,
                             &RateLimitConfig::frames_per_second>},
    {"rx_burst_frames",
     &SetFrames<&NetConfig::receive_limit, &RateLimitConfig::burst_frames>},
    {"tx_bytes",
     &SetBytes<&NetConfig::transmit_limit, &RateLimitConfig::bytes_per_second>},
    {"tx_burst_bytes",
     &SetBytes<&NetConfig::transmit_limit, &RateLimitConfig::burst_bytes>},
    {"tx_frames", &SetFrames<&NetConfig::transmit_limit,
                             &RateLimitConfig::frames_per_second>},
    {"tx_burst_frames",
     &SetFrames<&NetConfig::transmit_limit, &RateLimitConfig::burst_frames>},
};

absl::Status SetFds(absl::string_view value, NetConfig& net) {
  for (const absl::string_view item : absl::StrSplit(value, ':')) {
    const absl::StatusOr<uint32_t> fd = ParseCount(item);
    if (!fd.ok()) return NotA(value, "a list of descriptors like 7:8");
    net.tap_fds.push_back(*fd);
  }
  return absl::OkStatus();
}

// What is on the other end of the cable: exactly one of these is given.
struct BackendOption {
  absl::string_view name;
  Backend backend;
  bool takes_value;
  // Null: there is nothing to set, or it is a common option.
  absl::Status (*set)(absl::string_view value, NetConfig& net);
};

constexpr BackendOption kBackends[] = {
    {"tap", Backend::kTap, true, &SetText<&NetConfig::tap>},
    {"fd", Backend::kTap, true, &SetFds},
    {"passt", Backend::kPasst, true, &SetText<&NetConfig::passt>},
    {"switch", Backend::kSwitch, true, &SetText<&NetConfig::switch_name>},
    {"vhost-user", Backend::kVhostUser, true, nullptr},
    {"vhost-user-fd", Backend::kVhostUser, true, nullptr},
    {"loopback", Backend::kLoopback, false, nullptr},
    {"null", Backend::kNull, false, nullptr},
};

class NetParser {
 public:
  absl::StatusOr<NetConfig> Parse(absl::string_view text) && {
    for (const OptionPart& part : SplitOptions(text)) {
      ANNULUS_RETURN_IF_ERROR(Set(part));
    }
    if (backend_.empty()) {
      return absl::InvalidArgumentError(
          "has no backend: tap=NAME, fd=N, passt=SOCKET, switch=NAME, "
          "vhost-user=SOCKET, loopback or null");
    }
    if (methods_given_ && !net_.header_split.enabled) {
      return absl::InvalidArgumentError(
          "header-split-methods: of no effect without header-split=on");
    }
    ANNULUS_RETURN_IF_ERROR(CheckCommonOptions(net_.vhost_user));
    // One each is all that makes sense; queues= may say so, too.
    if (!net_.tap_fds.empty() && !queues_given_) {
      net_.queue_pairs = static_cast<uint32_t>(net_.tap_fds.size());
    }
    return std::move(net_);
  }

 private:
  absl::Status Set(const OptionPart& part) {
    std::optional<absl::Status> status = SetBackend(part);
    if (!status.has_value()) {
      status = SetCommonOption(part, net_.virtio, net_.vhost_user);
    }
    // Before the options: "mac" and "mtu" are both.
    if (!status.has_value()) status = SetFeature(part);
    if (!status.has_value()) {
      if (part.name == "queues") queues_given_ = true;
      if (part.name == "header-split-methods") methods_given_ = true;
      status = SetTableOption<NetConfig>(part, kOptions, net_);
    }
    if (status.has_value()) return *std::move(status);
    if (part.has_value && virtio::FindNetFeature(part.name) != nullptr) {
      return Named(part.name, NotA(part.value, "on or off"));
    }
    return UnknownOption(part, Names());
  }

  // These three: nullopt if it is none.
  std::optional<absl::Status> SetBackend(const OptionPart& part) {
    for (const BackendOption& option : kBackends) {
      if (option.name != part.name || option.takes_value != part.has_value) {
        continue;
      }
      if (!backend_.empty()) {
        return NotA(part.text,
                    absl::StrCat("possible: the backend is ", backend_));
      }
      net_.backend = option.backend;
      backend_ = option.name;
      if (option.set != nullptr) {
        return Named(part.name, option.set(part.value, net_));
      }
      if (!option.takes_value) return absl::OkStatus();
      return SetCommonOption(part, net_.virtio, net_.vhost_user);
    }
    return std::nullopt;
  }

  std::optional<absl::Status> SetFeature(const OptionPart& part) {
    const virtio::NetFeature* const feature = virtio::FindNetFeature(part.name);
    bool on = false;
    if (feature == nullptr || !ParseSwitch(part.value, on).ok()) {
      return std::nullopt;
    }
    std::vector<std::string>& disabled = net_.disabled_features;
    disabled.erase(std::remove(disabled.begin(), disabled.end(), part.name),
                   disabled.end());
    if (!on) disabled.emplace_back(feature->name);
    return absl::OkStatus();
  }

  static std::vector<absl::string_view> Names() {
    std::vector<absl::string_view> names = OptionNames<NetConfig>(kOptions);
    for (const BackendOption& option : kBackends) names.push_back(option.name);
    for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
      names.push_back(feature.name);
    }
    return names;
  }

  NetConfig net_;
  absl::string_view backend_;  // Its option; empty: none yet.
  bool queues_given_ = false;
  bool methods_given_ = false;
};

}  // namespace

absl::StatusOr<NetConfig> ParseNet(absl::string_view text) {
  return NetParser().Parse(text);
}

}  // namespace annulus::cli
