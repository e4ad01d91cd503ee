// What a network device does for a vhost-user front-end, and for its driver by
// way of that.

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_device_fixture.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr MacAddress kMoved = {0x52, 0x54, 0, 1, 2, 3};

class NetFrontEndTest : public NetDeviceTestBase, public testing::Test {
 protected:
  NetFrontEndTest() { front_end_controls_ = true; }

  void OfferRoom(uint16_t queue) {
    ASSERT_TRUE(
        sides_[queue]->driver.Chain().Writable(2000).Offer().has_value());
    sides_[queue]->Notify();
  }

  void SendTo(uint16_t queue, const MacAddress& mac) {
    std::string frame(12, '\0');
    frame.append(mac.begin(), mac.end());
    frame += std::string(60, 'x');
    ASSERT_TRUE(sides_[queue]->driver.Chain().Readable(frame).Offer());
    sides_[queue]->Notify();
  }
};

TEST_F(NetFrontEndTest, OffersNothingThatOnlyTheControlQueueCanSet) {
  Make(2);
  const FeatureSet offered = device_->offered_features();
  EXPECT_FALSE(offered.Has(kNetRss));
  EXPECT_FALSE(offered.Has(kNetHashReport));
  EXPECT_FALSE(offered.Has(kNetCtrlGuestOffloads));
  for (const uint32_t bit :
       {kNetCtrlVq, kNetMq, kNetCtrlRx, kNetCtrlVlan, kNetGuestTso4}) {
    EXPECT_TRUE(offered.Has(bit)) << bit;
  }
}

// The front-end enables queues; what the driver filters by, it keeps to itself.
TEST_F(NetFrontEndTest, EveryPairIsThereAndActiveAndNothingIsFiltered) {
  Make(2);
  Start(FeatureSet::Of(kFeatureVersion1, kNetMac, kNetCtrlVq, kNetCtrlRx,
                       kNetCtrlVlan),
        4);
  for (const uint16_t receive : {uint16_t{0}, uint16_t{2}}) {
    OfferRoom(receive);
    // It comes back to x:x:x:x:x:x, which is nobody.
    SendTo(static_cast<uint16_t>(receive + 1), kMoved);
    EXPECT_EQ(sides_[receive]->AwaitUsed().len, 12u + 66);
  }
}

// Our own front-end has the driver's commands come here.
TEST_F(NetFrontEndTest, ControlQueueThatIsStartedMakesEverythingFresh) {
  Make(2);
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetMq), 4);
  StartQueue(4);
  OfferRoom(2);
  SendTo(3, kMoved);
  (void)sides_[3]->AwaitUsed();
  // "Multiqueue is disabled by default": the frame is with the backend until
  // the pair is active.
  EXPECT_FALSE(sides_[2]->driver.GetUsed().has_value());
  EXPECT_EQ(Command(4, std::string("\x04\x00\x02\x00", 4)), kNetControlOk);
  EXPECT_EQ(sides_[2]->AwaitUsed().len, 12u + 66);
}

TEST_F(NetFrontEndTest, SettingsOutliveAPauseOfTheControlQueue) {
  Make(2);
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetMq), 5);
  EXPECT_EQ(Command(4, std::string("\x04\x00\x02\x00", 4)), kNetControlOk);
  const std::optional<QueueState> state = device_->StopQueue(4);
  ASSERT_TRUE(state.has_value());
  QueueConfig config = sides_[4]->driver.config();
  config.features = features_;
  device_->StartQueue(4, {.config = config,
                          .memory = &memory_,
                          .notification = &sides_[4]->notification,
                          .interrupt = &sides_[4]->interrupt,
                          .host = &host_,
                          .resume = state});
  OfferRoom(2);
  SendTo(3, kMoved);
  EXPECT_EQ(sides_[2]->AwaitUsed().len, 12u + 66);
  EXPECT_EQ(Command(4, std::string("\x04\x00\x01\x00", 4)), kNetControlOk);
}

TEST_F(NetFrontEndTest, MtuIsShownAndTheDriverTold) {
  Make(1);
  Start(FeatureSet::Of(kFeatureVersion1), 1);
  EXPECT_FALSE(device_->SetMtu(67));
  EXPECT_EQ(Config<uint16_t>(kNetConfigMtu), 0);
  EXPECT_EQ(host_.changes, 0);
  const uint32_t generation = device_->config_generation();
  EXPECT_TRUE(device_->SetMtu(9000));
  EXPECT_EQ(Config<uint16_t>(kNetConfigMtu), 9000);
  EXPECT_NE(device_->config_generation(), generation);
  EXPECT_EQ(host_.changes, 1);
  EXPECT_TRUE(device_->SetMtu(9000)) << "no change, and no news";
  EXPECT_EQ(host_.changes, 1);
  device_->Reset();
  EXPECT_EQ(Config<uint16_t>(kNetConfigMtu), 9000);
  EXPECT_TRUE(device_->SetMtu(65535));
}

// Where frames go nowhere; two threads in Send() at once are an error.
class WatchedBackend final : public NetBackend, private NetBackendQueue {
 public:
  struct Seen {
    std::atomic<uint64_t> rarps{0};
    std::atomic<uint64_t> others{0};
    std::atomic<int> overlaps{0};
    std::atomic<std::thread::id> sender{};
    uint16_t active_pairs = 0;
  };
  explicit WatchedBackend(Seen& seen, uint16_t pairs = 1)
      : seen_(seen), pairs_(pairs) {}

  FeatureSet offloads() const override { return {}; }
  uint16_t queue_pairs() const override { return pairs_; }
  NetBackendQueue& queue(uint16_t) override { return *this; }
  absl::Status SetReceiveOffloads(const FeatureSet&) override {
    return absl::OkStatus();
  }
  absl::Status SetActivePairs(uint16_t pairs) override {
    seen_.active_pairs = pairs;
    return absl::OkStatus();
  }
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver*) override {}

 private:
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    if (inside_.exchange(true)) ++seen_.overlaps;
    uint8_t type[2] = {};
    if (frame[1].iov_len >= 14) {
      std::memcpy(type, static_cast<const uint8_t*>(frame[1].iov_base) + 12, 2);
    }
    ++(type[0] == 0x80 && type[1] == 0x35 ? seen_.rarps : seen_.others);
    seen_.sender = std::this_thread::get_id();
    inside_ = false;
    return {TransferStatus::kDone, bytes};
  }
  Transfer Receive(absl::Span<const iovec>) override {
    return {TransferStatus::kAgain, 0};
  }
  int readable_fd() const override { return -1; }
  int writable_fd() const override { return -1; }

  Seen& seen_;
  const uint16_t pairs_;
  std::atomic<bool> inside_{false};
};

TEST_F(NetFrontEndTest, RarpIsSentByWhoeverHasTheBackendsQueue) {
  WatchedBackend::Seen seen;
  Make(1, std::make_unique<WatchedBackend>(seen));
  EXPECT_TRUE(device_->SendRarp(kMoved));
  EXPECT_EQ(seen.rarps, 1u) << "nothing runs";
  EXPECT_EQ(seen.sender.load(), std::this_thread::get_id());
  Start(FeatureSet::Of(kFeatureVersion1), 2);
  EXPECT_TRUE(device_->SendRarp(kMoved));
  while (seen.rarps < 2) std::this_thread::yield();
  EXPECT_NE(seen.sender.load(), std::this_thread::get_id());
  device_->StopQueue(1);
  EXPECT_TRUE(device_->SendRarp(kMoved));
  EXPECT_EQ(seen.rarps, 3u);
  EXPECT_EQ(seen.sender.load(), std::this_thread::get_id());
}

// A guest that uses one pair of four must not lose what comes by the others.
TEST_F(NetFrontEndTest, FramesComeByThePairsThatTheFrontEndEnables) {
  WatchedBackend::Seen seen;
  Make(4, std::make_unique<WatchedBackend>(seen, 4));
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetMq), 2);
  EXPECT_EQ(seen.active_pairs, 1);
  for (const uint16_t queue : {2, 3, 4, 5}) StartQueue(queue);
  EXPECT_EQ(seen.active_pairs, 3);
  device_->StopQueue(2);
  EXPECT_EQ(seen.active_pairs, 1);
  StartQueue(2);
  EXPECT_EQ(seen.active_pairs, 3);
  // From here on it is for the driver to say.
  StartQueue(8);
  EXPECT_EQ(seen.active_pairs, 1);
  device_->StopQueue(2);
  StartQueue(2);
  EXPECT_EQ(Command(8, std::string("\x04\x00\x04\x00", 4)), kNetControlOk);
  EXPECT_EQ(seen.active_pairs, 4);
}

TEST_F(NetFrontEndTest, RarpOfNoCardIsRefused) {
  WatchedBackend::Seen seen;
  Make(1, std::make_unique<WatchedBackend>(seen));
  EXPECT_FALSE(device_->SendRarp({}));
  EXPECT_FALSE(device_->SendRarp({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(device_->SendRarp({1, 0, 0x5e, 0, 0, 1}));
  EXPECT_EQ(seen.rarps, 0u);
}

// Whoever stops the queue sends what its worker did not get to.
TEST_F(NetFrontEndTest, NoRarpGetsLostBetweenStartAndStop) {
  WatchedBackend::Seen seen;
  Make(1, std::make_unique<WatchedBackend>(seen));
  Start(FeatureSet::Of(kFeatureVersion1), 0);
  for (int round = 0; round < 200; ++round) {
    StartQueue(1);
    const uint64_t before = seen.rarps;
    ASSERT_TRUE(device_->SendRarp(kMoved));
    device_->StopQueue(1);
    ASSERT_EQ(seen.rarps, before + 1);
  }
}

TEST_F(NetFrontEndTest, AnyNumberOfRarpsUnderTrafficAndRestartsDoNoHarm) {
  WatchedBackend::Seen seen;
  Make(1, std::make_unique<WatchedBackend>(seen));
  Start(FeatureSet::Of(kFeatureVersion1), 2);
  std::atomic<bool> stop{false};
  std::vector<std::thread> askers;
  for (int i = 0; i < 2; ++i) {
    askers.emplace_back([&] {
      while (!stop) device_->SendRarp(kMoved);
    });
  }
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 20; ++i) SendTo(1, kMoved);
    for (int i = 0; i < 20; ++i) (void)sides_[1]->AwaitUsed();
    device_->StopQueue(1);
    StartQueue(1);
  }
  stop = true;
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(seen.overlaps, 0);
  EXPECT_EQ(seen.others, 600u);
  EXPECT_GT(seen.rarps, 0u);
}

}  // namespace
}  // namespace annulus::virtio
