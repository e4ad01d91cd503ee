#include "cli/net_flag.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "cli/nearest_name.h"
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
    "  vhost-user=SOCKET\n"
    "                 another process serves the card (of a VM)\n"
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

bool IsSwitch(absl::string_view value) {
  return value == "on" || value == "off";
}

// For absl::StatusOr values: assigns or returns the reason.
template <typename Value, typename Target>
absl::Status Assign(const absl::StatusOr<Value>& value, Target& target) {
  if (!value.ok()) return value.status();
  target = static_cast<Target>(*value);
  return absl::OkStatus();
}

struct Option {
  absl::string_view name;
  absl::Status (*set)(absl::string_view value, NetConfig& net);
};

template <uint32_t NetConfig::*field>
absl::Status SetCount(absl::string_view value, NetConfig& net) {
  return Assign(ParseCount(value), net.*field);
}

template <std::string NetConfig::*field>
absl::Status SetText(absl::string_view value, NetConfig& net) {
  if (value.empty()) return NotA(value, "a value");
  net.*field = std::string(value);
  return absl::OkStatus();
}

template <RateLimitConfig NetConfig::*limit, uint64_t RateLimitConfig::*field>
absl::Status SetBytes(absl::string_view value, NetConfig& net) {
  return Assign(ParseSize(value), net.*limit.*field);
}

template <RateLimitConfig NetConfig::*limit, uint64_t RateLimitConfig::*field>
absl::Status SetFrames(absl::string_view value, NetConfig& net) {
  return Assign(ParseNumber(value), net.*limit.*field);
}

absl::Status SetCreate(absl::string_view value, NetConfig& net) {
  if (!IsSwitch(value)) return NotA(value, "on or off");
  net.create_tap = value == "on";
  return absl::OkStatus();
}

absl::Status SetHeaderSplit(absl::string_view value, NetConfig& net) {
  if (!IsSwitch(value)) return NotA(value, "on or off");
  net.header_split.enabled = value == "on";
  return absl::OkStatus();
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

constexpr Option kOptions[] = {
    {"create", &SetCreate},
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

absl::Status ParseFds(absl::string_view value, NetConfig& net) {
  for (const absl::string_view item : absl::StrSplit(value, ':')) {
    uint32_t fd = 0;
    if (!Assign(ParseCount(item), fd).ok()) {
      return NotA(value, "a list of descriptors like 7:8");
    }
    net.tap_fds.push_back(fd);
  }
  return absl::OkStatus();
}

class NetParser {
 public:
  absl::StatusOr<NetConfig> Parse(absl::string_view text) && {
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      const std::pair<absl::string_view, absl::string_view> option =
          absl::StrSplit(part, absl::MaxSplits('=', 1));
      const bool has_value = option.first.size() < part.size();
      ANNULUS_RETURN_IF_ERROR(has_value ? Set(option.first, option.second, part)
                                        : SetWord(part));
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
    // One each is all that makes sense; queues= may say so, too.
    if (!net_.tap_fds.empty() && !queues_given_) {
      net_.queue_pairs = static_cast<uint32_t>(net_.tap_fds.size());
    }
    return std::move(net_);
  }

 private:
  absl::Status SetWord(absl::string_view word) {
    if (word == "loopback") return SetBackend(word, Backend::kLoopback);
    if (word == "null") return SetBackend(word, Backend::kNull);
    if (word == "pci" || word == "mmio") {
      net_.virtio.transport =
          word == "pci" ? TransportKind::kPci : TransportKind::kMmio;
      return absl::OkStatus();
    }
    return Unknown(word, word);
  }

  absl::Status Set(absl::string_view name, absl::string_view value,
                   absl::string_view part) {
    if (name == "tap") {
      ANNULUS_RETURN_IF_ERROR(SetBackend(part, Backend::kTap));
      return Named(name, SetText<&NetConfig::tap>(value, net_));
    }
    if (name == "fd") {
      ANNULUS_RETURN_IF_ERROR(SetBackend(part, Backend::kTap));
      return Named(name, ParseFds(value, net_));
    }
    if (name == "passt") {
      ANNULUS_RETURN_IF_ERROR(SetBackend(part, Backend::kPasst));
      return Named(name, SetText<&NetConfig::passt>(value, net_));
    }
    if (name == "vhost-user") {
      ANNULUS_RETURN_IF_ERROR(SetBackend(part, Backend::kVhostUser));
      return Named(name, SetText<&NetConfig::vhost_user>(value, net_));
    }
    if (name == "switch") {
      ANNULUS_RETURN_IF_ERROR(SetBackend(part, Backend::kSwitch));
      return Named(name, SetText<&NetConfig::switch_name>(value, net_));
    }
    // Before the options: "mac" and "mtu" are both.
    if (IsSwitch(value) && SetFeature(name, value == "on")) {
      return absl::OkStatus();
    }
    for (const Option& option : kOptions) {
      if (option.name != name) continue;
      if (name == "queues") queues_given_ = true;
      if (name == "header-split-methods") methods_given_ = true;
      return Named(name, option.set(value, net_));
    }
    if (IsFeature(name)) return Named(name, NotA(value, "on or off"));
    return Unknown(name, part);
  }

  static absl::Status Named(absl::string_view name,
                            const absl::Status& status) {
    if (status.ok()) return status;
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", status.message()));
  }

  // `part` is quoted if there is another.
  absl::Status SetBackend(absl::string_view part, Backend backend) {
    if (!backend_.empty()) {
      return NotA(part, absl::StrCat("possible: the backend is ", backend_));
    }
    net_.backend = backend;
    // The name is enough, and is ours.
    backend_ = std::string(part.substr(0, part.find('=')));
    return absl::OkStatus();
  }

  bool IsFeature(absl::string_view name) {
    return virtio::FindNetFeature(name) != nullptr ||
           VirtioFeatureNamed(name, net_.virtio) != nullptr;
  }

  // False if there is none of that name.
  bool SetFeature(absl::string_view name, bool on) {
    if (bool* const field = VirtioFeatureNamed(name, net_.virtio)) {
      *field = on;
      return true;
    }
    const virtio::NetFeature* const feature = virtio::FindNetFeature(name);
    if (feature == nullptr) return false;
    std::vector<std::string>& disabled = net_.disabled_features;
    disabled.erase(std::remove(disabled.begin(), disabled.end(), name),
                   disabled.end());
    if (!on) disabled.emplace_back(feature->name);
    return true;
  }

  static absl::Status Unknown(absl::string_view name, absl::string_view part) {
    std::vector<absl::string_view> names = VirtioFeatureNames();
    names.insert(names.end(), {"tap", "fd", "passt", "switch", "vhost-user",
                               "loopback", "null", "pci", "mmio"});
    for (const Option& option : kOptions) names.push_back(option.name);
    for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
      names.push_back(feature.name);
    }
    if (name == part && std::count(names.begin(), names.end(), name) != 0) {
      return NotA(part, absl::StrCat("all: it takes a value, ", part, "=..."));
    }
    const auto nearest = NearestName(name, names);
    return NotA(part,
                nearest.has_value()
                    ? absl::StrCat("an option; did you mean ", *nearest, "?")
                    : "an option, see annulus run --help");
  }

  NetConfig net_;
  std::string backend_;  // Empty: none yet.
  bool queues_given_ = false;
  bool methods_given_ = false;
};

}  // namespace

absl::StatusOr<NetConfig> ParseNet(absl::string_view text) {
  return NetParser().Parse(text);
}

}  // namespace annulus::cli
