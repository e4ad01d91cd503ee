#include "vmm/config/validate_net_config.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using Backend = NetConfig::Backend;

NetConfig Tap(const std::string& name = "tap0") {
  NetConfig net;
  net.backend = Backend::kTap;
  net.tap = name;
  return net;
}

std::string ErrorOf(const std::vector<NetConfig>& cards) {
  const absl::Status status = ValidateNetConfigs(cards);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

// The one line about a valid card after `spoil`; "" if still valid.
std::string ErrorAfter(const std::function<void(NetConfig&)>& spoil) {
  NetConfig net = Tap();
  spoil(net);
  return ErrorOf({net});
}

TEST(ValidateNetConfigTest, EachBackendIsValidWithWhatItNeeds) {
  NetConfig loopback;
  loopback.backend = Backend::kLoopback;
  NetConfig null;
  null.backend = Backend::kNull;
  NetConfig passt;
  passt.backend = Backend::kPasst;
  passt.passt = "/tmp/passt.socket";
  NetConfig fds;
  fds.backend = Backend::kTap;
  fds.tap_fds = {7, 8};
  fds.queue_pairs = 2;
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(ErrorOf({Tap(), loopback, null, passt, fds}), "");
}

TEST(ValidateNetConfigTest, ABackendMustBeGiven) {
  EXPECT_EQ(ErrorOf({Tap(), NetConfig()}),
            "net[1].backend: is not given: TAP, PASST, LOOPBACK, NULL, SWITCH "
            "or VHOST_USER");
}

TEST(ValidateNetConfigTest, TwoBackendsAtOnceAreRefused) {
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.passt = "p"; }),
            "net[0].passt: is given, but backend is not PASST");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.backend = Backend::kLoopback; }),
            "net[0].tap: is given, but backend is not TAP");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) {
              n = NetConfig();
              n.backend = Backend::kNull;
              n.tap_fds = {7};
            }),
            "net[0].tap_fds: is given, but backend is not TAP");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) {
              n = NetConfig();
              n.backend = Backend::kNull;
              n.create_tap = true;
            }),
            "net[0].create_tap: is given, but backend is not TAP");
}

TEST(ValidateNetConfigTest, TapHasANameThatTheKernelTakes) {
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.tap = ""; }),
            "net[0].tap: is not given, nor is tap_fds, but backend is TAP");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.tap = std::string(15, 'a'); }), "");
  const std::string reason =
      " is not the name of an interface: 1 to 15 characters like tap0";
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.tap = std::string(16, 'a'); }),
            "net[0].tap: \"aaaaaaaaaaaaaaaa\"" + reason);
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.tap = std::string("a\n\0", 3); }),
            "net[0].tap: \"a\\n\\x00\"" + reason);
  for (const char* name :
       {"a b", "a/b", "tap%d", "a:1", ".", "..", "\xc3\xa9"}) {
    EXPECT_NE(ErrorAfter([&](NetConfig& n) { n.tap = name; }), "") << name;
  }
}

TEST(ValidateNetConfigTest, DescriptorsAreOneForEachPair) {
  const auto error = [](std::vector<uint32_t> fds, uint32_t pairs) {
    return ErrorAfter([&](NetConfig& n) {
      n.tap = "";
      n.tap_fds = std::move(fds);
      n.queue_pairs = pairs;
    });
  };
  EXPECT_EQ(error({7, 8, 9}, 3), "");
  EXPECT_EQ(error({7}, 2),
            "net[0].tap_fds: has 1 descriptors for queue_pairs: 2; give one "
            "each");
  EXPECT_EQ(error({2}, 1), "net[0].tap_fds[0]: 2 is not in 3..1048576");
  EXPECT_EQ(error({7, UINT32_MAX}, 2),
            "net[0].tap_fds[1]: 4294967295 is not in 3..1048576");
  EXPECT_EQ(error({7, 7}, 2), "net[0].tap_fds: 7 is given twice");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.tap_fds = {7}; }),
            "net[0].tap_fds: is given, but tap is, too");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) {
              n.tap = "";
              n.tap_fds = {7};
              n.create_tap = true;
            }),
            "net[0].create_tap: is given, but tap_fds are open already");
}

TEST(ValidateNetConfigTest, VhostUserHasASocketAndNothingOfTheOtherProcess) {
  NetConfig net;
  net.backend = Backend::kVhostUser;
  EXPECT_EQ(ErrorOf({net}),
            "net[0].vhost_user.socket: is not given, nor is vhost_user.fd, but "
            "backend is VHOST_USER");
  net.vhost_user.socket = "p";
  net.mac = "52:54:00:12:34:56";
  net.mtu = 1500;
  net.disabled_features = {"mrg_rxbuf"};
  EXPECT_EQ(ErrorOf({net}), "");
  const auto with = [net](void (*change)(NetConfig&)) {
    NetConfig changed = net;
    change(changed);
    return ErrorOf({changed});
  };
  constexpr char kTheirs[] =
      ": is given, but belongs to the process behind vhost_user";
  EXPECT_EQ(with([](NetConfig& n) { n.queue_pairs = 2; }),
            std::string("net[0].queue_pairs") + kTheirs);
  EXPECT_EQ(with([](NetConfig& n) { n.pcap = "f"; }),
            std::string("net[0].pcap") + kTheirs);
  EXPECT_EQ(with([](NetConfig& n) { n.receive_limit.frames_per_second = 1; }),
            std::string("net[0].receive_limit") + kTheirs);
  EXPECT_EQ(with([](NetConfig& n) { n.poll = PollKind::kNever; }),
            std::string("net[0].poll") + kTheirs);
  EXPECT_EQ(with([](NetConfig& n) { n.worker_cpus = {1}; }),
            std::string("net[0].worker_cpus") + kTheirs);
  EXPECT_EQ(with([](NetConfig& n) { n.header_split.enabled = true; }),
            std::string("net[0].header_split.enabled") + kTheirs);
  NetConfig other;
  other.backend = Backend::kNull;
  other.vhost_user.socket = "p";
  EXPECT_EQ(ErrorOf({other}),
            "net[0].vhost_user: is given, but backend is not VHOST_USER");
}

TEST(ValidateNetConfigTest, PasstHasASocketAndOnePair) {
  NetConfig net;
  net.backend = Backend::kPasst;
  EXPECT_EQ(ErrorOf({net}), "net[0].passt: is not given, but backend is PASST");
  net.passt = std::string(107, 'p');
  EXPECT_EQ(ErrorOf({net}), "");
  net.passt = std::string(108, 'p');
  EXPECT_EQ(ErrorOf({net}), "net[0].passt: 108 bytes are more than 107");
  net.passt = std::string("p\0", 2);
  EXPECT_EQ(ErrorOf({net}), "net[0].passt: contains a NUL byte");
  net.passt = "p";
  net.queue_pairs = 2;
  EXPECT_EQ(ErrorOf({net}), "net[0].queue_pairs: 2, but passt has one");
}

TEST(ValidateNetConfigTest, SwitchHasANameThatCardsMayShare) {
  NetConfig net;
  net.backend = Backend::kSwitch;
  EXPECT_EQ(ErrorOf({net}),
            "net[0].switch_name: is not given, but backend is SWITCH");
  net.switch_name = std::string(64, 's');
  EXPECT_EQ(ErrorOf({net, net}), "");
  net.switch_name = "two words";
  EXPECT_EQ(ErrorOf({net}),
            "net[0].switch_name: \"two words\" is not the name of a switch: 1 "
            "to 64 characters like lan0");
  net.switch_name = std::string(65, 's');
  EXPECT_NE(ErrorOf({net}), "");
  net.switch_name = std::string("s\0", 2);
  EXPECT_NE(ErrorOf({net}), "");
  net.switch_name = "lan0";
  net.backend = Backend::kNull;
  EXPECT_EQ(ErrorOf({net}),
            "net[0].switch_name: is given, but backend is not SWITCH");
}

TEST(ValidateNetConfigTest, NullMayGenerateFrames) {
  NetConfig net;
  net.backend = Backend::kNull;
  for (const uint32_t bytes : {0u, 14u, 65593u}) {
    net.generate_bytes = bytes;
    EXPECT_EQ(ErrorOf({net}), "");
  }
  for (const uint32_t bytes : {13u, 65594u}) {
    net.generate_bytes = bytes;
    EXPECT_EQ(ErrorOf({net}),
              "net[0].generate_bytes: " + std::to_string(bytes) +
                  " is not in 14..65593");
  }
  net.generate_bytes = 64;
  net.backend = Backend::kLoopback;
  EXPECT_EQ(ErrorOf({net}),
            "net[0].generate_bytes: is given, but backend is not NULL");
}

TEST(ValidateNetConfigTest, MacIsAnAddressOfOneCard) {
  const auto error = [](const std::string& mac) {
    return ErrorAfter([&](NetConfig& n) { n.mac = mac; });
  };
  EXPECT_EQ(error(""), "");
  EXPECT_EQ(error("52:54:00:12:34:56"), "");
  EXPECT_EQ(error("52:54:00:12:34"),
            "net[0].mac: \"52:54:00:12:34\" is not an address like "
            "52:54:00:12:34:56");
  EXPECT_EQ(error("01:00:5e:00:00:01"),
            "net[0].mac: 01:00:5e:00:00:01 is a multicast address: the first "
            "byte of a card's is even");
  EXPECT_EQ(error("00:00:00:00:00:00"),
            "net[0].mac: a card cannot have all zeros");
}

TEST(ValidateNetConfigTest, NumbersHaveRanges) {
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.mtu = 67; }),
            "net[0].mtu: 67 is not in 68..65535");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.mtu = 68; }), "");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.mtu = 65535; }), "");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.mtu = 65536; }),
            "net[0].mtu: 65536 is not in 68..65535");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_pairs = 0; }),
            "net[0].queue_pairs: 0 is not in 1..16");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_pairs = 16; }), "");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_pairs = 17; }),
            "net[0].queue_pairs: 17 is not in 1..16");
  for (const uint32_t size : {0u, 3u, 255u, UINT32_MAX}) {
    EXPECT_EQ(ErrorAfter([=](NetConfig& n) { n.queue_size = size; }),
              "net[0].queue_size: " + std::to_string(size) +
                  " is not a power of two");
  }
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_size = 1; }),
            "net[0].queue_size: 1 is not in 2..1024");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_size = 1024; }), "");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.queue_size = 2048; }),
            "net[0].queue_size: 2048 is not in 2..1024");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.speed_mbps = 0x80000000; }),
            "net[0].speed_mbps: 2147483648 is not in 0..2147483647");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.poll_microseconds = 1000001; }),
            "net[0].poll_microseconds: 1000001 is not in 0..1000000");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) {
              n.worker_cpus = {0, 1024};
            }),
            "net[0].worker_cpus[1]: 1024 is not in 0..1023");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.worker_cpus.resize(65); }),
            "net[0].worker_cpus: 65 CPUs are more than 64");
}

TEST(ValidateNetConfigTest, FeaturesAreDisabledWithThoseThatNeedThem) {
  const auto error = [](const std::vector<std::string>& disabled) {
    return ErrorAfter([&](NetConfig& n) { n.disabled_features = disabled; });
  };
  EXPECT_EQ(error({"mrg_rxbuf", "guest_ecn", "host_tso4"}), "");
  EXPECT_EQ(error({"csum"}),
            "net[0].disabled_features: host_tso4 needs csum, so disable with "
            "it: host_tso4, host_tso6, host_ecn, host_ufo, host_uso");
  EXPECT_EQ(error({"csum", "host_tso4", "host_tso6", "host_ecn", "host_ufo",
                   "host_uso"}),
            "");
  EXPECT_EQ(error({"guest_tso6", "guest_tso4"}),
            "net[0].disabled_features: guest_ecn needs guest_tso4 or "
            "guest_tso6, so disable with it: guest_ecn");
  EXPECT_EQ(error({"mac", "tso"}),
            "net[0].disabled_features[1]: \"tso\" is not a feature of network "
            "cards");
  // Those of any virtio device have switches of their own.
  EXPECT_NE(error({"packed"}), "");
}

TEST(ValidateNetConfigTest, ValuesNeedTheFeatureThatTellsThem) {
  const auto error = [](const std::vector<std::string>& disabled,
                        const std::function<void(NetConfig&)>& set) {
    return ErrorAfter([&](NetConfig& n) {
      n.disabled_features = disabled;
      set(n);
    });
  };
  EXPECT_EQ(error({"mac"}, [](NetConfig& n) { n.mac = "52:54:00:12:34:56"; }),
            "net[0].mac: is given, but the driver cannot be told: mac "
            "disabled");
  EXPECT_EQ(error({"mtu"}, [](NetConfig& n) { n.mtu = 1500; }),
            "net[0].mtu: is given, but the driver cannot be told: mtu "
            "disabled");
  const auto two_pairs = [](NetConfig& n) { n.queue_pairs = 2; };
  EXPECT_EQ(error({"mq"}, two_pairs), "");
  EXPECT_EQ(error({"mq", "rss"}, two_pairs),
            "net[0].queue_pairs: is given, but the driver cannot be told: mq "
            "and rss disabled");
  EXPECT_EQ(error({"speed_duplex"}, [](NetConfig& n) { n.speed_mbps = 1000; }),
            "net[0].speed_mbps: is given, but the driver cannot be told: "
            "speed_duplex disabled");
}

TEST(ValidateNetConfigTest, ABurstGoesWithARate) {
  EXPECT_EQ(ErrorAfter([](NetConfig& n) {
              n.receive_limit = {UINT64_MAX, UINT64_MAX, 1, 1};
            }),
            "");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.receive_limit.burst_bytes = 1; }),
            "net[0].receive_limit.burst_bytes: is given without "
            "bytes_per_second");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.transmit_limit.burst_frames = 1; }),
            "net[0].transmit_limit.burst_frames: is given without "
            "frames_per_second");
}

TEST(ValidateNetConfigTest, HeaderSplitIsWhatTheDeviceTakes) {
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.header_split.enabled = true; }),
            "");
  // Whether it is enabled or not.
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.header_split.split_feature = 17; }),
            "net[0].header_split.split_feature: 17 belongs to ctrl_vq; 4, 44 "
            "to 49 and 58 are free");
  EXPECT_EQ(ErrorAfter([](NetConfig& n) { n.header_split.split_class = 256; }),
            "net[0].header_split.split_class: 256 is not in 0..255");
  EXPECT_EQ(
      ErrorAfter([](NetConfig& n) { n.header_split.max_threshold = 70000; }),
      "net[0].header_split.max_threshold: 70000 is more than the largest frame "
      "has: 65593");
}

TEST(ValidateNetConfigTest, HeaderSplitNeedsCommandsAndChecksums) {
  const std::vector<std::string> kNeedGuestCsum = {
      "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn",
      "guest_ufo",  "guest_uso4", "guest_uso6"};
  const std::vector<std::string> kNeedCtrlVq = {
      "ctrl_guest_offloads", "ctrl_rx",     "ctrl_vlan",     "ctrl_rx_extra",
      "guest_announce",      "mq",          "ctrl_mac_addr", "vq_notf_coal",
      "notf_coal",           "hash_report", "rss",           "ctrl_vq"};
  const auto without = [](const std::vector<std::string>& features,
                          bool enabled) {
    return ErrorAfter([&](NetConfig& n) {
      n.disabled_features = features;
      n.header_split.enabled = enabled;
    });
  };
  EXPECT_EQ(without(kNeedGuestCsum, false), "");
  EXPECT_EQ(without(kNeedGuestCsum, true),
            "net[0].header_split.enabled: needs guest_csum, which is disabled");
  EXPECT_EQ(without(kNeedCtrlVq, false), "");
  EXPECT_EQ(without(kNeedCtrlVq, true),
            "net[0].header_split.enabled: needs ctrl_vq, which is disabled");
  NetConfig passt;
  passt.backend = Backend::kPasst;
  passt.passt = "/tmp/passt.socket";
  passt.header_split.enabled = true;
  EXPECT_EQ(ErrorOf({passt}),
            "net[0].header_split.enabled: needs guest_csum, which passt cannot "
            "do");
}

TEST(ValidateNetConfigTest, CardsDoNotShareWhatIsOfOne) {
  EXPECT_EQ(ErrorOf({Tap("a"), Tap("b")}), "");
  EXPECT_EQ(ErrorOf({Tap("a"), Tap("b"), Tap("a")}),
            "net[2].tap: \"a\" belongs to net[0]");
  NetConfig passt;
  passt.backend = Backend::kPasst;
  passt.passt = "p";
  EXPECT_EQ(ErrorOf({passt, passt}), "net[1].passt: \"p\" belongs to net[0]");
  NetConfig first = Tap("a");
  NetConfig second = Tap("b");
  first.pcap = second.pcap = "f";
  EXPECT_EQ(ErrorOf({first, second}), "net[1].pcap: \"f\" belongs to net[0]");
  NetConfig fds;
  fds.backend = Backend::kTap;
  fds.tap_fds = {7};
  EXPECT_EQ(ErrorOf({fds, fds}), "net[1].tap_fds: 7 is given twice");
}

TEST(ValidateNetConfigTest, SixteenCardsFitOnPci) {
  NetConfig null;
  null.backend = Backend::kNull;
  EXPECT_EQ(ErrorOf(std::vector<NetConfig>(16, null)), "");
  EXPECT_EQ(ErrorOf(std::vector<NetConfig>(17, null)),
            "net: 17 devices on PCI are more than 16");
}

}  // namespace
}  // namespace annulus
