#include "vmm/machine/vsock_card.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"
#include "vmm/vsock_resources.h"

namespace annulus {
namespace {

using virtio::FeatureSet;

class VsockCardTest : public testing::Test {
 protected:
  VsockCardTest()
      : directory_(absl::StrCat("/tmp/vsock_card_test.", ::getpid())) {
    std::filesystem::create_directory(directory_);
  }
  ~VsockCardTest() override { std::filesystem::remove_all(directory_); }

  VsockConfig Config(uint64_t cid = 3) const {
    VsockConfig vsock;
    vsock.cid = cid;
    vsock.socket = absl::StrCat(directory_, "/vm", cid);
    return vsock;
  }

  static absl::StatusOr<VsockCard> TryMake(const VsockConfig& config) {
    absl::StatusOr<VsockResources> resources = OpenVsockResources(config);
    EXPECT_TRUE(resources.ok()) << resources.status();
    if (!resources.ok()) return resources.status();
    return MakeVsockCard(config, "vsock0", *std::move(resources),
                         NullLogSink());
  }

  static VsockCard Make(const VsockConfig& config) {
    absl::StatusOr<VsockCard> card = TryMake(config);
    EXPECT_TRUE(card.ok()) << card.status();
    return card.ok() ? *std::move(card) : VsockCard();
  }

  static std::unique_ptr<virtio::VsockDevice> Device(
      const VsockConfig& config) {
    VsockCard card = Make(config);
    auto device =
        virtio::VsockDevice::Create(card.options, std::move(card.backend),
                                    std::move(card.port), NullLogSink());
    EXPECT_TRUE(device.ok()) << device.status();
    return device.ok() ? *std::move(device) : nullptr;
  }

  const std::string directory_;
};

FeatureSet All() {
  return FeatureSet::Of(virtio::kVsockStream, virtio::kVsockSeqpacket,
                        virtio::kVsockNoImpliedStream, virtio::kFeatureVersion1,
                        virtio::kFeatureRingPacked, virtio::kFeatureEventIdx,
                        virtio::kFeatureIndirectDesc, virtio::kFeatureInOrder);
}

TEST_F(VsockCardTest, ADefaultDeviceHasTheDefaultsOfTheDevice) {
  const VsockCard card = Make(Config());
  const virtio::VsockOptions defaults;
  EXPECT_EQ(card.options.name, "vsock0");
  EXPECT_EQ(card.options.guest_cid, 3u);
  EXPECT_EQ(card.options.features, All());
  EXPECT_FALSE(card.options.mrg_rxbuf);
  EXPECT_FALSE(card.options.dgram);
  EXPECT_EQ(card.options.numbers.mrg_rxbuf_feature,
            defaults.numbers.mrg_rxbuf_feature);
  EXPECT_EQ(card.options.numbers.dgram_feature, defaults.numbers.dgram_feature);
  EXPECT_EQ(card.options.queue_size, defaults.queue_size);
  EXPECT_EQ(card.options.buf_alloc, defaults.buf_alloc);
  EXPECT_EQ(card.options.max_connections, defaults.max_connections);
  EXPECT_EQ(card.options.connect_wait, defaults.connect_wait);
  EXPECT_EQ(card.options.listen_wait, defaults.listen_wait);
  EXPECT_EQ(card.options.close_wait, defaults.close_wait);
  EXPECT_EQ(card.options.workers.poll, defaults.workers.poll);
  EXPECT_EQ(card.options.workers.poll_duration, absl::Microseconds(32));
  EXPECT_TRUE(card.options.workers.cpus.empty());
  EXPECT_NE(card.backend, nullptr);
  EXPECT_EQ(card.port, nullptr);
}

TEST_F(VsockCardTest, EveryValueReachesTheDevice) {
  VsockConfig config = Config(77);
  config.buf_alloc = 64 << 20;
  config.max_connections = 5;
  config.queue_size = 1024;
  config.connect_wait_milliseconds = 6;
  config.listen_wait_milliseconds = 7;
  config.close_wait_milliseconds = 8;
  config.poll = PollKind::kAlways;
  config.poll_microseconds = 9;
  config.worker_cpus = {1};
  config.mrg_rxbuf = true;
  config.dgram = true;
  config.mrg_rxbuf_feature = 50;
  config.dgram_feature = 51;
  config.switch_directory = directory_;
  const VsockCard card = Make(config);
  EXPECT_EQ(card.options.guest_cid, 77u);
  EXPECT_EQ(card.options.buf_alloc, 64u << 20);
  EXPECT_EQ(card.options.max_connections, 5u);
  EXPECT_EQ(card.options.queue_size, 1024);
  EXPECT_EQ(card.options.connect_wait, absl::Milliseconds(6));
  EXPECT_EQ(card.options.listen_wait, absl::Milliseconds(7));
  EXPECT_EQ(card.options.close_wait, absl::Milliseconds(8));
  EXPECT_EQ(card.options.workers.poll, virtio::WorkerPolicy::Poll::kAlways);
  EXPECT_EQ(card.options.workers.poll_duration, absl::Microseconds(9));
  EXPECT_EQ(card.options.workers.cpus, (std::vector<int>{1}));
  EXPECT_TRUE(card.options.mrg_rxbuf);
  EXPECT_TRUE(card.options.dgram);
  EXPECT_EQ(card.options.numbers.mrg_rxbuf_feature, 50u);
  EXPECT_EQ(card.options.numbers.dgram_feature, 51u);
  EXPECT_NE(card.port, nullptr);
}

TEST_F(VsockCardTest, EachSwitchTakesItsFeatureAway) {
  const std::pair<bool VirtioConfig::*, uint32_t> kSwitches[] = {
      {&VirtioConfig::packed, virtio::kFeatureRingPacked},
      {&VirtioConfig::event_idx, virtio::kFeatureEventIdx},
      {&VirtioConfig::indirect_desc, virtio::kFeatureIndirectDesc},
      {&VirtioConfig::in_order, virtio::kFeatureInOrder},
  };
  for (const auto& [field, bit] : kSwitches) {
    VsockConfig config = Config();
    config.virtio.*field = false;
    FeatureSet rest = All();
    rest.Remove(bit);
    EXPECT_EQ(Make(config).options.features, rest) << bit;
  }
  VsockConfig config = Config();
  config.seqpacket = false;
  FeatureSet rest = All();
  rest.Remove(virtio::kVsockSeqpacket);
  EXPECT_EQ(Make(config).options.features, rest);
}

TEST_F(VsockCardTest, TheDeviceIsBuiltFromAConfiguration) {
  const auto device = Device(Config(4294967294));
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(device->device_id(), 19u);
  EXPECT_EQ(device->max_queue_sizes().size(), 3u);
  EXPECT_EQ(device->max_queue_sizes()[0], 256);
  EXPECT_TRUE(device->offered_features().Has(virtio::kVsockSeqpacket));
  uint8_t cid[8];
  device->ReadConfig(0, cid);
  const uint8_t expected[8] = {0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0};
  EXPECT_TRUE(std::equal(cid, cid + 8, expected));
}

TEST_F(VsockCardTest, WhatIsExperimentalIsOfferedWhereItIsConfigured) {
  VsockConfig config = Config();
  config.dgram = true;
  config.dgram_feature = 3;  // Which is mrg_rxbuf_feature's default, too.
  const auto device = Device(config);
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(device->max_queue_sizes().size(), 5u);
  EXPECT_TRUE(device->offered_features().Has(3));
  EXPECT_FALSE(device->offered_features().Has(4));
}

// As an embedder does it; processes meet in the directory.
TEST_F(VsockCardTest, VmsOfOneProcessCanShareASwitch) {
  VsockConfig config = Config(3);
  config.switch_directory = directory_;
  absl::StatusOr<VsockResources> first = OpenVsockResources(config);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto vsock_switch = first->vsock_switch;
  const auto three =
      MakeVsockCard(config, "vsock0", *std::move(first), NullLogSink());
  ASSERT_TRUE(three.ok()) << three.status();
  for (const uint64_t cid : {4, 3}) {
    config = Config(cid);
    config.socket += "b";
    absl::StatusOr<VsockResources> next = OpenVsockResources(config);
    ASSERT_TRUE(next.ok()) << next.status();
    next->vsock_switch = vsock_switch;
    const auto card =
        MakeVsockCard(config, "vsock0", *std::move(next), NullLogSink());
    if (cid == 4) {
      ASSERT_TRUE(card.ok()) << card.status();
      EXPECT_NE(card->port, nullptr);
      continue;
    }
    // No two can have the same one.
    EXPECT_EQ(card.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_TRUE(absl::StartsWith(card.status().message(), "vsock.cid: "))
        << card.status();
  }
}

}  // namespace
}  // namespace annulus
