#include "cli/net_flag.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/flag_values.h"
#include "devices/virtio/net/net_feature_names.h"
#include "gtest/gtest.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

using Backend = NetConfig::Backend;

NetConfig Parsed(absl::string_view text) {
  const absl::StatusOr<NetConfig> net = ParseNet(text);
  EXPECT_TRUE(net.ok()) << text << ": " << net.status();
  return net.ok() ? *net : NetConfig();
}

std::string ErrorOf(absl::string_view text) {
  const absl::StatusOr<NetConfig> net = ParseNet(text);
  if (net.ok()) return "parsed";
  EXPECT_EQ(net.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(net.status().message());
}

TEST(NetFlagTest, EachBackendHasItsForm) {
  EXPECT_EQ(Parsed("tap=tap0").backend, Backend::kTap);
  EXPECT_EQ(Parsed("tap=tap0").tap, "tap0");
  EXPECT_FALSE(Parsed("tap=tap0").create_tap);
  EXPECT_TRUE(Parsed("tap=tap0,create=on").create_tap);
  EXPECT_EQ(Parsed("vhost-user=/run/n.sock").backend, Backend::kVhostUser);
  EXPECT_EQ(Parsed("vhost-user=/run/n.sock").vhost_user.socket, "/run/n.sock");
  EXPECT_FALSE(Parsed("vhost-user=/run/n.sock").vhost_user.listen);
  EXPECT_TRUE(Parsed("vhost-user=/run/n.sock,listen").vhost_user.listen);
  EXPECT_EQ(Parsed("vhost-user-fd=7").backend, Backend::kVhostUser);
  EXPECT_EQ(Parsed("vhost-user-fd=7").vhost_user.fd, 7u);
  EXPECT_EQ(Parsed("passt=/a=b").backend, Backend::kPasst);
  EXPECT_EQ(Parsed("passt=/a=b").passt, "/a=b");
  EXPECT_EQ(Parsed("loopback").backend, Backend::kLoopback);
  EXPECT_EQ(Parsed("null").backend, Backend::kNull);
  EXPECT_EQ(Parsed("null").generate_bytes, 0u);
  EXPECT_EQ(Parsed("null,generate=64").generate_bytes, 64u);
  EXPECT_EQ(Parsed("switch=lan0").backend, Backend::kSwitch);
  EXPECT_EQ(Parsed("switch=lan0").switch_name, "lan0");
  EXPECT_EQ(Parsed("fd=7").backend, Backend::kTap);
  EXPECT_EQ(Parsed("fd=7:8:9").tap_fds, (std::vector<uint32_t>{7, 8, 9}));
}

TEST(NetFlagTest, DescriptorsSayHowManyPairsThereAre) {
  EXPECT_EQ(Parsed("fd=7").queue_pairs, 1u);
  EXPECT_EQ(Parsed("fd=7:8:9").queue_pairs, 3u);
  // Which ValidateVmConfig() finds to contradict.
  EXPECT_EQ(Parsed("queues=2,fd=7:8:9").queue_pairs, 2u);
}

TEST(NetFlagTest, EveryOptionSetsItsField) {
  const NetConfig net = Parsed(
      "mmio,tap=tap0,mac=52:54:00:12:34:56,mtu=1500,queues=4,queue_size=1024,"
      "speed=10000,poll_us=50,poll=always,cpus=1:0,pcap=f.pcap,rx_bytes=100M,"
      "rx_burst_bytes=64K,"
      "rx_frames=10,rx_burst_frames=11,tx_bytes=1G,tx_burst_bytes=1M,"
      "tx_frames=20,tx_burst_frames=21,packed=off");
  EXPECT_EQ(net.virtio.transport, TransportKind::kMmio);
  EXPECT_FALSE(net.virtio.packed);
  EXPECT_EQ(net.mac, "52:54:00:12:34:56");
  EXPECT_EQ(net.mtu, 1500u);
  EXPECT_EQ(net.queue_pairs, 4u);
  EXPECT_EQ(net.queue_size, 1024u);
  EXPECT_EQ(net.speed_mbps, 10000u);
  EXPECT_EQ(net.poll_microseconds, 50u);
  EXPECT_EQ(net.poll, PollKind::kAlways);
  EXPECT_EQ(net.worker_cpus, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(net.pcap, "f.pcap");
  EXPECT_EQ(net.receive_limit.bytes_per_second, uint64_t{100} << 20);
  EXPECT_EQ(net.receive_limit.burst_bytes, uint64_t{64} << 10);
  EXPECT_EQ(net.receive_limit.frames_per_second, 10u);
  EXPECT_EQ(net.receive_limit.burst_frames, 11u);
  EXPECT_EQ(net.transmit_limit.bytes_per_second, uint64_t{1} << 30);
  EXPECT_EQ(net.transmit_limit.burst_bytes, uint64_t{1} << 20);
  EXPECT_EQ(net.transmit_limit.frames_per_second, 20u);
  EXPECT_EQ(net.transmit_limit.burst_frames, 21u);
  EXPECT_TRUE(net.disabled_features.empty());
  VmConfig config;
  config.boot.kernel = "k";
  config.net = {net, Parsed("loopback,pci")};
  EXPECT_TRUE(ValidateVmConfig(config).ok()) << ValidateVmConfig(config);
}

TEST(NetFlagTest, HeaderSplitIsOffUnlessItIsSwitchedOn) {
  EXPECT_FALSE(Parsed("null").header_split.enabled);
  EXPECT_FALSE(Parsed("null,header-split=off").header_split.enabled);
  const HeaderSplitConfig split = Parsed("null,header-split=on").header_split;
  EXPECT_TRUE(split.enabled);
  EXPECT_TRUE(split.chain && split.buffers && split.small_buffers &&
              split.header_queue);
}

TEST(NetFlagTest, HeaderSplitHasTheMethodsThatAreNamed) {
  const HeaderSplitConfig aq =
      Parsed("null,header-split=on,header-split-methods=qa").header_split;
  EXPECT_TRUE(aq.enabled);
  EXPECT_TRUE(aq.chain);
  EXPECT_FALSE(aq.buffers);
  EXPECT_FALSE(aq.small_buffers);
  EXPECT_TRUE(aq.header_queue);
  const HeaderSplitConfig bc =
      Parsed(
          "null,header-split-methods=a,header-split-methods=bc,header-split=on")
          .header_split;
  EXPECT_FALSE(bc.chain);
  EXPECT_TRUE(bc.buffers);
  EXPECT_TRUE(bc.small_buffers);
  EXPECT_FALSE(bc.header_queue);
}

TEST(NetFlagTest, EveryFeatureIsASwitch) {
  for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
    const std::string off = absl::StrCat("null,", feature.name, "=off");
    EXPECT_EQ(Parsed(off).disabled_features,
              (std::vector<std::string>{std::string(feature.name)}));
    EXPECT_EQ(
        Parsed(absl::StrCat(off, ",", feature.name, "=on")).disabled_features,
        std::vector<std::string>());
    EXPECT_EQ(Parsed(absl::StrCat(off, ",", feature.name, "=off"))
                  .disabled_features.size(),
              1u);
  }
  for (const absl::string_view name : VirtioFeatureNames()) {
    NetConfig net = Parsed(absl::StrCat("null,", name, "=off"));
    EXPECT_FALSE(*VirtioFeatureNamed(name, net.virtio)) << name;
    EXPECT_TRUE(net.disabled_features.empty());
  }
}

TEST(NetFlagTest, MacAndMtuAreValuesAndFeatures) {
  const NetConfig net = Parsed("null,mac=52:54:00:12:34:56,mac=off,mtu=off");
  EXPECT_EQ(net.mac, "52:54:00:12:34:56");
  EXPECT_EQ(net.mtu, 0u);
  EXPECT_EQ(net.disabled_features, (std::vector<std::string>{"mac", "mtu"}));
}

TEST(NetFlagTest, OneBackendIsNeededAndNoMore) {
  const std::string none =
      "has no backend: tap=NAME, fd=N, passt=SOCKET, switch=NAME, "
      "vhost-user=SOCKET, loopback or null";
  EXPECT_EQ(ErrorOf("mtu=1500"), none);
  EXPECT_EQ(ErrorOf("pci"), none);
  EXPECT_EQ(ErrorOf("tap=tap0,passt=/p"),
            "\"passt=/p\" is not possible: the backend is tap");
  EXPECT_EQ(ErrorOf("loopback,null"),
            "\"null\" is not possible: the backend is loopback");
  EXPECT_EQ(ErrorOf("vhost-user=/s,vhost-user-fd=7"),
            "\"vhost-user-fd=7\" is not possible: the backend is vhost-user");
  EXPECT_EQ(ErrorOf("tap=a,listen"),
            "listen: of no effect without vhost-user=SOCKET");
  EXPECT_EQ(ErrorOf("tap=a,fd=7"),
            "\"fd=7\" is not possible: the backend is tap");
}

TEST(NetFlagTest, MistakesAreNamed) {
  EXPECT_EQ(ErrorOf(""), "\"\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("null,"), "\"\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("tap"), "\"tap\" is not all: it takes a value, tap=...");
  EXPECT_EQ(ErrorOf("tap="), "tap: \"\" is not a value");
  EXPECT_EQ(ErrorOf("null,queue=4"),
            "\"queue=4\" is not an option; did you mean queues?");
  EXPECT_EQ(ErrorOf("null,xyzzy=4"),
            "\"xyzzy=4\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("null,queues=four"), "queues: \"four\" is not a number");
  EXPECT_EQ(ErrorOf("null,csum=no"), "csum: \"no\" is not on or off");
  EXPECT_EQ(ErrorOf("null,create=1"), "create: \"1\" is not on or off");
  EXPECT_EQ(ErrorOf("null,header-split=yes"),
            "header-split: \"yes\" is not on or off");
  EXPECT_EQ(ErrorOf("null,header-split-methods=abd"),
            "header-split-methods: \"abd\" is not one or more of the letters "
            "abcq");
  EXPECT_EQ(ErrorOf("null,header-split-methods="),
            "header-split-methods: \"\" is not one or more of the letters "
            "abcq");
  EXPECT_EQ(ErrorOf("null,header-split-methods=a"),
            "header-split-methods: of no effect without header-split=on");
  EXPECT_EQ(ErrorOf("null,header-split"),
            "\"header-split\" is not all: it takes a value, "
            "header-split=...");
  EXPECT_EQ(ErrorOf("null,header_split=on"),
            "\"header_split=on\" is not an option; did you mean "
            "header-split?");
  EXPECT_EQ(ErrorOf("null,mtu=-1"), "mtu: \"-1\" is not a number");
  EXPECT_EQ(ErrorOf("fd=7:x"),
            "fd: \"7:x\" is not a list of descriptors like 7:8");
  EXPECT_EQ(ErrorOf("null,rx_bytes=fast"),
            "rx_bytes: \"fast\" is not a size like 512M, 2G or a number of "
            "bytes");
  EXPECT_EQ(ErrorOf("null,tx_frames=1M"), "tx_frames: \"1M\" is not a number");
  EXPECT_EQ(ErrorOf("null,a\n=1"),
            "\"a\\n=1\" is not an option, see annulus run --help");
}

TEST(NetFlagTest, HelpNamesEverything) {
  const std::string help =
      absl::StrCat(" ", absl::StrReplaceAll(kNetHelp, {{"\n", " "}}), " ");
  const auto named = [&](absl::string_view name) {
    for (const absl::string_view end : {",", ".", ";", "="}) {
      if (absl::StrContains(help, absl::StrCat(" ", name, end))) return true;
    }
    return false;
  };
  for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
    EXPECT_TRUE(named(feature.name)) << feature.name;
  }
  for (const absl::string_view name : VirtioFeatureNames()) {
    EXPECT_TRUE(named(name)) << name;
  }
}

TEST(NetFlagTest, WhatTheDocumentationGivesIsValid) {
  std::ifstream in("docs/networking.md");
  ASSERT_TRUE(in);
  int examples = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t at = line.find(" --net ");
    if (!absl::StartsWith(line, "annulus run ") || at == std::string::npos) {
      continue;
    }
    std::string value = line.substr(at + 7);
    value.resize(std::min(value.find(' '), value.size()));
    VmConfig config;
    config.boot.kernel = "k";
    config.net = {Parsed(
        absl::StrReplaceAll(value, {{"\"$mac\"", "52:54:00:12:34:56"}}))};
    EXPECT_TRUE(ValidateVmConfig(config).ok())
        << line << ValidateVmConfig(config);
    ++examples;
  }
  EXPECT_GE(examples, 12);
}

}  // namespace
}  // namespace annulus::cli
