#include "devices/virtio/net/net_device.h"

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/link_state.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/net_device_fixture.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

class NetDeviceTest : public NetDeviceTestBase, public testing::Test {};

std::string FrameTo(const MacAddress& mac, uint32_t number, size_t bytes) {
  std::string frame(mac.begin(), mac.end());
  frame += std::string("\x02\x00\x00\x00\x00\x09\x08\x00", 8);
  while (frame.size() < bytes) {
    number = number * 1664525 + 1013904223;
    frame += static_cast<char>(number >> 24);
  }
  return frame;
}

// With addresses swapped, as they come back.
std::string Swapped(std::string frame) {
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  return frame;
}

// Format, indirect, event index, in-order, MRG_RXBUF.
class NetDeviceTrafficTest
    : public NetDeviceTestBase,
      public testing::TestWithParam<std::tuple<bool, bool, bool, bool, bool>> {
 protected:
  FeatureSet Features() const {
    FeatureSet features = FeatureSet::Of(kFeatureVersion1, kNetMac, kNetStatus);
    const auto add = [&](bool on, uint32_t bit) {
      if (on) features.Add(bit);
    };
    add(std::get<0>(GetParam()), kFeatureRingPacked);
    add(std::get<1>(GetParam()), kFeatureIndirectDesc);
    add(std::get<2>(GetParam()), kFeatureEventIdx);
    add(std::get<3>(GetParam()), kFeatureInOrder);
    add(std::get<4>(GetParam()), kNetMrgRxbuf);
    return features;
  }
};

TEST_P(NetDeviceTrafficTest, FramesGoOutAndComeBackInOrderAndWhole) {
  Make(1);
  Start(Features(), 2);
  NetQueueSide& receive = *sides_[0];
  NetQueueSide& transmit = *sides_[1];
  const bool mergeable = std::get<4>(GetParam());
  uint32_t sent = 0;
  uint32_t received = 0;
  const auto frame = [](uint32_t number) {
    return FrameTo({2, 0, 0, 0, 0, 1}, number, 14 + number * 37 % 4000);
  };
  constexpr uint32_t kFrames = 500;
  receive.driver.DisableCallbacks();
  while (received < kFrames) {
    for (int i = 0; i < 8; ++i) {
      if (!receive.driver.Chain()
               .Writable(mergeable ? 1000 : 4100)
               .Offer()
               .has_value()) {
        break;
      }
    }
    receive.Notify();
    // As many as certainly have room in the receiver's ring.
    while (sent < kFrames && sent < received + 4) {
      const std::string bytes = frame(sent);
      ASSERT_TRUE(transmit.driver.Chain()
                      .Readable(std::string(12, '\0'))
                      .Readable(bytes.substr(0, 5))
                      .Readable(bytes.substr(5))
                      .Offer()
                      .has_value());
      transmit.Notify();
      ++sent;
    }
    while (transmit.driver.GetUsed().has_value()) {
    }
    FakeDriver::Used used = receive.AwaitUsed();
    ASSERT_GE(used.len, 12u);
    std::string bytes = used.data.substr(12);
    for (int more = used.data[10]; more > 1; --more) {
      bytes += receive.AwaitUsed().data;
    }
    ASSERT_EQ(bytes, Swapped(frame(received))) << "frame " << received;
    ++received;
  }
  device_->Reset();
  EXPECT_EQ(host_.resets, 0);
  EXPECT_EQ(device_->counters(0).frames.value(), kFrames);
  EXPECT_EQ(device_->counters(1).frames.value(), kFrames);
}

INSTANTIATE_TEST_SUITE_P(
    All, NetDeviceTrafficTest,
    testing::Combine(testing::Bool(), testing::Bool(), testing::Bool(),
                     testing::Bool(), testing::Bool()),
    [](const auto& info) {
      return std::string(std::get<0>(info.param) ? "packed" : "split") +
             (std::get<1>(info.param) ? "_indirect" : "") +
             (std::get<2>(info.param) ? "_event_idx" : "") +
             (std::get<3>(info.param) ? "_in_order" : "") +
             (std::get<4>(info.param) ? "_mergeable" : "");
    });

TEST_F(NetDeviceTest, ConfigurationSpaceSaysWhatTheCardIs) {
  Make(2);
  EXPECT_EQ(Config<uint8_t>(kNetConfigMac), kMac[0]);
  EXPECT_EQ(Config<uint8_t>(kNetConfigMac + 5), kMac[5]);
  EXPECT_EQ(Config<uint16_t>(kNetConfigStatus), kNetStatusLinkUp);
  EXPECT_EQ(Config<uint16_t>(kNetConfigMaxPairs), 2);
  EXPECT_EQ(Config<uint32_t>(kNetConfigSpeed), kNetSpeedUnknown);
  EXPECT_EQ(Config<uint8_t>(kNetConfigRssMaxKeySize), 40);
  EXPECT_EQ(Config<uint16_t>(kNetConfigRssMaxTable), 128);
}

TEST_F(NetDeviceTest, OffersOnlyWhatItsOptionsAndBackendHave) {
  Make(1);
  FeatureSet offered = device_->offered_features();
  EXPECT_TRUE(offered.Has(kNetHostTso4));
  EXPECT_FALSE(offered.Has(kNetMq)) << "one pair";
  EXPECT_FALSE(offered.Has(kNetRss));
  EXPECT_FALSE(offered.Has(kNetMtu)) << "no MTU was configured";
  Make(2);
  EXPECT_TRUE(device_->offered_features().Has(kNetMq));
}

// Virtio 1.4 §5.1.3.1.
TEST_F(NetDeviceTest, FeatureWithoutWhatItNeedsIsNotAccepted) {
  Make(1);
  EXPECT_FALSE(
      device_->AcceptFeatures(FeatureSet::Of(kFeatureVersion1, kNetHostTso4)));
  EXPECT_FALSE(
      device_->AcceptFeatures(FeatureSet::Of(kFeatureVersion1, kNetCtrlRx)));
}

TEST_F(NetDeviceTest, MorePairsThanTheBackendHasAreRefusedInOneLine) {
  NetOptions options;
  options.queue_pairs = 4;
  const absl::Status status =
      NetDevice::Create(options, LoopbackBackend::Create(2).value(), log_)
          .status();
  EXPECT_EQ(status.message(), "net0: 4 queue pairs, but its backend has 2");
}

// "N=1 if neither VIRTIO_NET_F_MQ nor VIRTIO_NET_F_RSS are negotiated".
TEST_F(NetDeviceTest, ControlQueueIsWhereTheNegotiatedFeaturesPutIt) {
  const std::string promiscuous("\x00\x00\x01", 3);
  Make(2);
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetCtrlRx), 3);
  EXPECT_EQ(Command(2, promiscuous), kNetControlOk);
  device_->Reset();
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetCtrlRx, kNetMq), 5);
  EXPECT_EQ(Command(4, promiscuous), kNetControlOk);
}

TEST_F(NetDeviceTest, DriverSetsItsAddressUntilReset) {
  Make(1);
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetCtrlMacAddr, kNetMac),
        3);
  const uint32_t generation = device_->config_generation();
  EXPECT_EQ(Command(2, std::string("\x01\x01\x02\x00\x00\x00\x00\x07", 8)),
            kNetControlOk);
  EXPECT_EQ(Config<uint8_t>(kNetConfigMac + 5), 7);
  EXPECT_NE(device_->config_generation(), generation);
  device_->Reset();
  EXPECT_EQ(Config<uint8_t>(kNetConfigMac + 5), kMac[5]);
}

TEST_F(NetDeviceTest, AnnouncementIsAskedForUntilTheDriverAcknowledges) {
  Make(1);
  device_->Announce();
  EXPECT_EQ(Config<uint16_t>(kNetConfigStatus), kNetStatusLinkUp);
  Start(FeatureSet::Of(kFeatureVersion1, kNetStatus, kNetCtrlVq,
                       kNetGuestAnnounce),
        3);
  device_->Announce();
  EXPECT_EQ(host_.changes, 1);
  EXPECT_EQ(Config<uint16_t>(kNetConfigStatus),
            kNetStatusLinkUp | kNetStatusAnnounce);
  EXPECT_EQ(Command(2, std::string("\x03\x00", 2)), kNetControlOk);
  EXPECT_EQ(Config<uint16_t>(kNetConfigStatus), kNetStatusLinkUp);
}

TEST_F(NetDeviceTest, CoalescingHoldsTheInterruptUntilEnoughFramesAreSent) {
  Make(1, NullBackend::Create({}).value());
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetNotfCoal), 3);
  // TX_SET: 4 packets, or an hour.
  const std::string set("\x06\x00\x04\x00\x00\x00\x00\xa4\x93\xd6", 10);
  ASSERT_EQ(Command(2, set), kNetControlOk);
  NetQueueSide& transmit = *sides_[1];
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(transmit.driver.Chain()
                    .Readable(std::string(12, '\0') + FrameTo(kMac, 0, 60))
                    .Offer()
                    .has_value());
    transmit.Notify();
    while (device_->counters(1).frames.value() < static_cast<uint64_t>(i + 1)) {
    }
    if (i < 3) {
      EXPECT_EQ(device_->counters(1).interrupts.value(), 0u);
    }
  }
  pollfd fd = {transmit.interrupt.event.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&fd, 1, -1), 1);
  EXPECT_EQ(device_->counters(1).interrupts.value(), 1u);
}

TEST_F(NetDeviceTest, CoalescingGivesTheInterruptWhenTheTimeIsOver) {
  Make(1, NullBackend::Create({}).value());
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetNotfCoal), 3);
  // TX_SET: a million packets, or 2 ms.
  const std::string set("\x06\x00\x40\x42\x0f\x00\xd0\x07\x00\x00", 10);
  ASSERT_EQ(Command(2, set), kNetControlOk);
  ASSERT_TRUE(sides_[1]
                  ->driver.Chain()
                  .Readable(std::string(12, '\0') + FrameTo(kMac, 0, 60))
                  .Offer()
                  .has_value());
  sides_[1]->Notify();
  (void)sides_[1]->AwaitUsed();
  pollfd fd = {sides_[1]->interrupt.event.fd(), POLLIN, 0};
  while (device_->counters(1).interrupts.value() == 0) (void)::poll(&fd, 1, 1);
}

// A backend whose cable can be pulled out.
class PulledBackend final : public NetBackend {
 public:
  FeatureSet offloads() const override { return null_->offloads(); }
  uint16_t queue_pairs() const override { return 1; }
  NetBackendQueue& queue(uint16_t pair) override { return null_->queue(pair); }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override {
    return null_->SetReceiveOffloads(offloads);
  }
  absl::Status SetActivePairs(uint16_t pairs) override {
    return null_->SetActivePairs(pairs);
  }
  bool link_up() const override { return link.up(); }
  void SetLinkObserver(LinkObserver* observer) override {
    link.SetObserver(observer);
  }

  LinkState link{true};

 private:
  std::unique_ptr<NullBackend> null_ = NullBackend::Create({}).value();
};

TEST_F(NetDeviceTest, LinkGoesDownAndUpWithItsBackend) {
  auto owned = std::make_unique<PulledBackend>();
  LinkState& link = owned->link;
  link.Set(false);
  Make(1, std::move(owned));
  EXPECT_EQ(Config<uint16_t>(kNetConfigStatus), 0);
  Start(FeatureSet::Of(kFeatureVersion1, kNetStatus), 2);
  int changes = 0;
  for (const bool up : {true, false, true}) {
    const uint32_t generation = device_->config_generation();
    link.Set(up);
    link.Set(up);
    EXPECT_EQ(Config<uint16_t>(kNetConfigStatus), up ? kNetStatusLinkUp : 0);
    EXPECT_NE(device_->config_generation(), generation);
    EXPECT_EQ(host_.changes, ++changes);
  }
}

class LinkRecorder final : public LinkObserver {
 public:
  void LinkChanged(bool up) override { told.push_back(up); }
  std::vector<bool> told;
};

TEST_F(NetDeviceTest, LinkIsUpWhenTheCableAndTheBackendSaySo) {
  auto owned = std::make_unique<PulledBackend>();
  LinkState& backend = owned->link;
  Make(1, std::move(owned));
  LinkRecorder recorder;
  device_->SetLinkObserver(&recorder);
  Start(FeatureSet::Of(kFeatureVersion1, kNetStatus), 2);
  device_->SetLink(false);
  EXPECT_FALSE(device_->link_up());
  EXPECT_EQ(host_.changes, 1);
  backend.Set(false);
  device_->SetLink(true);
  EXPECT_FALSE(device_->link_up());
  EXPECT_EQ(host_.changes, 1);
  device_->SetLink(false);
  backend.Set(true);
  EXPECT_FALSE(device_->link_up());
  device_->SetLink(true);
  EXPECT_TRUE(device_->link_up());
  EXPECT_EQ(host_.changes, 2);
  EXPECT_EQ(recorder.told, std::vector<bool>({false, true}));
  // A reset of the driver does not mend a cable.
  device_->SetLink(false);
  device_->Reset();
  EXPECT_FALSE(device_->link_up());
}

// bad_inputs 31: "one desc malformed kills worker: CH #8142". One bad queue
// never harms another.
TEST_F(NetDeviceTest, QueueThatBreaksLeavesTheOthersRunning) {
  Make(1);
  Start(FeatureSet::Of(kFeatureVersion1, kNetMrgRxbuf), 2);
  QueueConfig broken = sides_[0]->driver.config();
  broken.features = features_;
  device_->StopQueue(0);
  broken.descriptor = memory::GuestAddress(0xd0000000);
  device_->StartQueue(0, {.config = broken,
                          .memory = &memory_,
                          .notification = &sides_[0]->notification,
                          .interrupt = &sides_[0]->interrupt,
                          .host = &host_});
  EXPECT_EQ(host_.resets, 1);
  ASSERT_TRUE(sides_[1]
                  ->driver.Chain()
                  .Readable(std::string(12, '\0') + FrameTo(kMac, 0, 60))
                  .Offer()
                  .has_value());
  sides_[1]->Notify();
  (void)sides_[1]->AwaitUsed();
}

TEST_F(NetDeviceTest, QueuesMayBeStoppedAndStartedUnderTraffic) {
  Make(1);
  Start(FeatureSet::Of(kFeatureVersion1, kNetMrgRxbuf, kFeatureRingPacked), 2);
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 20; ++i) {
      (void)sides_[0]->driver.Chain().Writable(1000).Offer();
      (void)sides_[1]
          ->driver.Chain()
          .Readable(std::string(12, '\0') + FrameTo(kMac, 0, 600))
          .Offer();
    }
    sides_[0]->Notify();
    sides_[1]->Notify();
    const uint16_t restarted = static_cast<uint16_t>(round % 2);
    device_->StopQueue(restarted);
    StartQueue(restarted);
    if (round % 10 == 9) {
      device_->Reset();
      Start(features_, 2);
    }
  }
  EXPECT_EQ(host_.resets, 0);
}

}  // namespace
}  // namespace annulus::virtio
