#include "vmm/machine/net_card.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"
#include "vmm/frame_switches.h"
#include "vmm/net_resources.h"

namespace annulus {
namespace {

using Backend = NetConfig::Backend;
using virtio::FeatureSet;

const CardName kName = {.name = "net2", .field = "net[2]"};

NetConfig Card(Backend backend) {
  NetConfig net;
  net.backend = backend;
  return net;
}

NetCard Make(const NetConfig& config, LogSink& log = NullLogSink()) {
  absl::StatusOr<NetCard> card =
      MakeNetCard(config, kName, NetResources(), log);
  EXPECT_TRUE(card.ok()) << card.status();
  return card.ok() ? *std::move(card) : NetCard();
}

class LinesLog final : public LogSink {
 public:
  void Log(LogSeverity severity, absl::string_view line) override {
    severities.push_back(severity);
    lines.emplace_back(line);
  }
  std::vector<LogSeverity> severities;
  std::vector<std::string> lines;
};

TEST(NetCardTest, ADefaultCardOffersEverythingAndLimitsNothing) {
  const NetCard card = Make(Card(Backend::kLoopback));
  EXPECT_EQ(card.options.name, "net2");
  EXPECT_EQ(card.options.features, virtio::AllNetFeatures());
  EXPECT_EQ(card.options.mtu, 0);
  EXPECT_EQ(card.options.queue_pairs, 1);
  EXPECT_EQ(card.options.queue_size, 256);
  EXPECT_EQ(card.options.speed_mbps, virtio::kNetSpeedUnknown);
  EXPECT_EQ(card.options.receive_limit.bytes_per_second, 0u);
  EXPECT_EQ(card.options.transmit_limit.frames_per_second, 0u);
  EXPECT_EQ(card.options.workers.poll, virtio::WorkerPolicy::Poll::kAdaptive);
  EXPECT_EQ(card.options.workers.poll_duration, absl::Microseconds(32));
  EXPECT_TRUE(card.options.workers.cpus.empty());
  EXPECT_EQ(card.options.header_split, virtio::HeaderSplitOptions());
  EXPECT_EQ(card.backend->queue_pairs(), 1);
}

TEST(NetCardTest, EveryValueReachesTheDevice) {
  NetConfig config = Card(Backend::kNull);
  config.mac = "52:54:00:12:34:56";
  config.mtu = 65535;
  config.queue_pairs = 16;
  config.queue_size = 1024;
  config.speed_mbps = 10000;
  config.receive_limit = {1, 2, 3, 4};
  config.transmit_limit = {5, 6, 7, 8};
  config.poll = PollKind::kNever;
  config.poll_microseconds = 50;
  config.worker_cpus = {1, 0};
  config.header_split = {.enabled = true, .buffers = false, .split_class = 99};
  const NetCard card = Make(config);
  EXPECT_EQ(card.options.mac,
            (virtio::MacAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}));
  EXPECT_EQ(card.options.mtu, 65535);
  EXPECT_EQ(card.options.queue_pairs, 16);
  EXPECT_EQ(card.options.queue_size, 1024);
  EXPECT_EQ(card.options.speed_mbps, 10000u);
  EXPECT_EQ(card.options.receive_limit.bytes_per_second, 1u);
  EXPECT_EQ(card.options.receive_limit.burst_bytes, 2u);
  EXPECT_EQ(card.options.receive_limit.frames_per_second, 3u);
  EXPECT_EQ(card.options.receive_limit.burst_frames, 4u);
  EXPECT_EQ(card.options.transmit_limit.bytes_per_second, 5u);
  EXPECT_EQ(card.options.transmit_limit.burst_bytes, 6u);
  EXPECT_EQ(card.options.transmit_limit.frames_per_second, 7u);
  EXPECT_EQ(card.options.transmit_limit.burst_frames, 8u);
  EXPECT_EQ(card.options.workers.poll, virtio::WorkerPolicy::Poll::kNever);
  EXPECT_EQ(card.options.workers.poll_duration, absl::Microseconds(50));
  EXPECT_EQ(card.options.workers.cpus, (std::vector<int>{1, 0}));
  EXPECT_EQ(
      card.options.header_split,
      (virtio::HeaderSplitOptions{
          .offered = true, .buffers = false, .numbers = {.split_class = 99}}));
  EXPECT_EQ(card.backend->queue_pairs(), 16);
}

TEST(NetCardTest, EachSwitchTakesItsFeatureAway) {
  for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
    NetConfig config = Card(Backend::kNull);
    config.disabled_features = {std::string(feature.name)};
    FeatureSet rest = virtio::AllNetFeatures();
    rest.Remove(feature.bit);
    EXPECT_EQ(Make(config).options.features, rest) << feature.name;
  }
  const std::pair<bool VirtioConfig::*, uint32_t> kSwitches[] = {
      {&VirtioConfig::packed, virtio::kFeatureRingPacked},
      {&VirtioConfig::event_idx, virtio::kFeatureEventIdx},
      {&VirtioConfig::indirect_desc, virtio::kFeatureIndirectDesc},
      {&VirtioConfig::in_order, virtio::kFeatureInOrder},
  };
  for (const auto& [field, bit] : kSwitches) {
    NetConfig config = Card(Backend::kNull);
    config.virtio.*field = false;
    FeatureSet rest = virtio::AllNetFeatures();
    rest.Remove(bit);
    EXPECT_EQ(Make(config).options.features, rest) << bit;
  }
}

TEST(NetCardTest, AnAddressThatIsNotGivenIsRandomAndLogged) {
  LinesLog log;
  const virtio::MacAddress one = Make(Card(Backend::kNull), log).options.mac;
  const virtio::MacAddress other = Make(Card(Backend::kNull), log).options.mac;
  EXPECT_NE(one, other);     // But once in 2^46 runs.
  EXPECT_EQ(one[0] & 3, 2);  // Locally administered, of one card.
  ASSERT_EQ(log.lines.size(), 2u);
  EXPECT_EQ(log.severities[0], LogSeverity::kDebug);
  EXPECT_TRUE(absl::StartsWith(log.lines[0], "net2: its address is "))
      << log.lines[0];
  NetConfig given = Card(Backend::kNull);
  given.mac = "52:54:00:12:34:56";
  Make(given, log);
  EXPECT_EQ(log.lines.size(), 2u);
}

TEST(NetCardTest, ADeviceCanBeMadeOfEachCard) {
  for (const Backend backend : {Backend::kNull, Backend::kLoopback}) {
    NetConfig config = Card(backend);
    config.queue_pairs = 2;
    config.disabled_features = {"mrg_rxbuf"};
    NetCard card = Make(config);
    const auto device = virtio::NetDevice::Create(
        card.options, std::move(card.backend), NullLogSink());
    ASSERT_TRUE(device.ok()) << device.status();
    EXPECT_TRUE((*device)->offered_features().Has(virtio::kNetMq));
    EXPECT_FALSE((*device)->offered_features().Has(virtio::kNetMrgRxbuf));
  }
}

TEST(NetCardTest, ADeviceOffersHeaderSplitIfItsCardDoes) {
  NetConfig config = Card(Backend::kLoopback);
  config.header_split = {.enabled = true, .split_feature = 49};
  NetCard card = Make(config);
  const auto device = virtio::NetDevice::Create(
      card.options, std::move(card.backend), NullLogSink());
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_TRUE((*device)->offered_features().Has(49));
  EXPECT_TRUE((*device)->offered_features().Has(4));
}

NET_NAMESPACE_TEST(NetCardTest, ATapBecomesACard) {
  virtio::RunCommand("ip tuntap add tap0 mode tap multi_queue");
  NetConfig config = Card(Backend::kTap);
  config.tap = "tap0";
  config.queue_pairs = 3;
  FrameSwitches switches;
  absl::StatusOr<NetResources> resources =
      OpenNetResources("net[2]", config, switches);
  ASSERT_TRUE(resources.ok()) << resources.status();
  absl::StatusOr<NetCard> card =
      MakeNetCard(config, kName, *std::move(resources), NullLogSink());
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->backend->queue_pairs(), 3);
  EXPECT_TRUE(card->backend->offloads().Has(virtio::kNetCsum));
}

TEST(NetCardTest, ASwitchHasAPortForEachCard) {
  FrameSwitches switches;
  NetConfig config = Card(Backend::kSwitch);
  config.switch_name = "lan0";
  config.queue_pairs = 16;
  std::vector<NetCard> cards;
  for (int i = 0; i < 4; ++i) {
    absl::StatusOr<NetResources> resources =
        OpenNetResources("net[2]", config, switches);
    ASSERT_TRUE(resources.ok()) << resources.status();
    absl::StatusOr<NetCard> card =
        MakeNetCard(config, kName, *std::move(resources), NullLogSink());
    if (i < 3) {
      ASSERT_TRUE(card.ok()) << card.status();
      EXPECT_EQ(card->backend->queue_pairs(), 16);
      EXPECT_TRUE(card->backend->offloads().Has(virtio::kNetCsum));
      cards.push_back(*std::move(card));
    } else {
      EXPECT_EQ(card.status().message(),
                "net[2].switch_name: switch lan0: 48 of 63 queue pairs are in "
                "use, and a port is to have 16");
    }
  }
  const absl::Status none =
      MakeNetCard(config, kName, NetResources(), NullLogSink()).status();
  EXPECT_EQ(none.message(), "net[2].switch_name: was not made");
}

TEST(NetCardTest, NullGeneratesFramesOnRequest) {
  NetConfig config = Card(Backend::kNull);
  config.generate_bytes = 64;
  const NetCard card = Make(config);
  std::array<uint8_t, 12> header;
  std::array<uint8_t, 2000> frame;
  const std::array<iovec, 2> room = {iovec{header.data(), header.size()},
                                     iovec{frame.data(), frame.size()}};
  EXPECT_EQ(card.backend->queue(0).Receive(room).bytes, 12u + 64);
}

TEST(NetCardTest, PasstBecomesACardWithoutOffloads) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd peer(ends[1]);
  NetResources resources;
  resources.socket.reset(ends[0]);
  const absl::StatusOr<NetCard> card = MakeNetCard(
      Card(Backend::kPasst), kName, std::move(resources), NullLogSink());
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->backend->offloads(), FeatureSet());
  EXPECT_TRUE(card->backend->link_up());
  const absl::Status none =
      MakeNetCard(Card(Backend::kPasst), kName, NetResources(), NullLogSink())
          .status();
  EXPECT_TRUE(absl::StartsWith(none.message(), "net[2].passt: ")) << none;
}

// Which ValidateNetConfigs() finds sooner.
TEST(NetCardTest, HeaderSplitNeedsABackendWithChecksums) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd peer(ends[1]);
  NetResources resources;
  resources.socket.reset(ends[0]);
  NetConfig config = Card(Backend::kPasst);
  config.header_split.enabled = true;
  const absl::Status status =
      MakeNetCard(config, kName, std::move(resources), NullLogSink()).status();
  EXPECT_EQ(status.message(),
            "net[2].header_split.enabled: needs guest_csum, which passt does "
            "not have");
}

TEST(NetCardTest, FramesAreRecordedWhereAFileIsGiven) {
  NetResources resources;
  resources.pcap.reset(::memfd_create("pcap", MFD_CLOEXEC));
  const UniqueFd file(::dup(resources.pcap.get()));
  const absl::StatusOr<NetCard> card = MakeNetCard(
      Card(Backend::kNull), kName, std::move(resources), NullLogSink());
  ASSERT_TRUE(card.ok()) << card.status();
  const off_t head = ::lseek(file.get(), 0, SEEK_END);
  EXPECT_GT(head, 0);
  uint8_t header[virtio::kNetHeaderBytes] = {};
  uint8_t frame[60] = {};
  const iovec vectors[] = {{header, sizeof(header)}, {frame, sizeof(frame)}};
  const virtio::Transfer sent =
      card->backend->queue(0).Send(vectors, sizeof(header) + sizeof(frame));
  EXPECT_EQ(sent.status, virtio::TransferStatus::kDone);
  EXPECT_GE(::lseek(file.get(), 0, SEEK_END), head + 60);

  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  NetResources no_file;
  no_file.pcap.reset(ends[1]);
  const absl::Status status = MakeNetCard(Card(Backend::kNull), kName,
                                          std::move(no_file), NullLogSink())
                                  .status();
  EXPECT_TRUE(absl::StartsWith(status.message(), "net[2].pcap: ")) << status;
}

TEST(NetCardTest, WhatIsNotATapIsRefusedByField) {
  NetConfig config = Card(Backend::kTap);
  config.tap_fds = {3};
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const UniqueFd other(pipe[1]);
  NetResources resources;
  resources.taps.emplace_back(pipe[0]);
  const absl::Status status =
      MakeNetCard(config, kName, std::move(resources), NullLogSink()).status();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::StartsWith(status.message(), "net[2].tap_fds: ")) << status;
  config.tap_fds.clear();
  config.tap = "tap0";
  const absl::Status none =
      MakeNetCard(config, kName, NetResources(), NullLogSink()).status();
  EXPECT_TRUE(absl::StartsWith(none.message(), "net[2].tap: ")) << none;
}

}  // namespace
}  // namespace annulus
