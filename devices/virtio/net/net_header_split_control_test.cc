// A card that offers header split: negotiation, and commands by its control
// queue.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_device_fixture.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kSplit = HeaderSplitNumbers().split_feature;
constexpr uint32_t kQueue = HeaderSplitNumbers().header_queue_feature;

// A backend that knows nothing of checksums.
class PlainBackend final : public NetBackend {
 public:
  FeatureSet offloads() const override { return {}; }
  uint16_t queue_pairs() const override { return 1; }
  NetBackendQueue& queue(uint16_t pair) override { return null_->queue(pair); }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override {
    return null_->SetReceiveOffloads(offloads);
  }
  absl::Status SetActivePairs(uint16_t pairs) override {
    return null_->SetActivePairs(pairs);
  }
  bool link_up() const override { return true; }
  void SetLinkObserver(LinkObserver* observer) override {
    null_->SetLinkObserver(observer);
  }

 private:
  std::unique_ptr<NullBackend> null_ = NullBackend::Create({}).value();
};

// CREATE of header queue `id`, 16 slots of 128 bytes in RAM.
std::string CreateQueue(char id) {
  return std::string("\x81\1", 2) + id + std::string("\0\x80\0\4\0\0\0", 7) +
         std::string("\0\0\x80\0\0\0\0\0", 8) +  // buf_base
         std::string("\0\0\x90\0\0\0\0\0", 8) +  // tail_addr
         std::string("\xf\0\0\0\0\0\0\0", 8) +   // types
         std::string(8, '\0');
}
std::string AttachQueue(char vq, char id) {
  return std::string("\x81\2", 2) + vq + '\0' + id + '\0';
}
std::string DetachQueue(char vq) {
  return std::string("\x81\2", 2) + vq + std::string("\0\xff\xff", 3);
}
std::string DestroyQueue(char id) {
  return std::string("\x81\3", 2) + id + '\0';
}
const std::string kSetTcp4("\x80\0\1\0\0\0\0\0\0\0", 10);

class NetHeaderSplitControlTest : public NetDeviceTestBase,
                                  public testing::Test {
 protected:
  NetHeaderSplitControlTest() { header_split_.offered = true; }

  static FeatureSet Features() {
    return FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetGuestCsum, kSplit,
                          kQueue);
  }

  // "" if it can be made.
  std::string ErrorOf(const NetOptions& options,
                      std::unique_ptr<NetBackend> backend) {
    const absl::Status status =
        NetDevice::Create(options, std::move(backend), log_).status();
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
    return std::string(status.message());
  }

  NetOptions Options() const {
    NetOptions options;
    options.features = AllNetFeatures();
    options.header_split = header_split_;
    return options;
  }
};

TEST_F(NetHeaderSplitControlTest, IsOfferedOnlyOnRequest) {
  header_split_.offered = false;
  Make(1);
  EXPECT_FALSE(device_->offered_features().Has(kSplit));
  EXPECT_FALSE(device_->offered_features().Has(kQueue));
  header_split_.offered = true;
  Make(1);
  EXPECT_TRUE(device_->offered_features().Has(kSplit));
  EXPECT_TRUE(device_->offered_features().Has(kQueue));
  header_split_.header_queue = false;
  Make(1);
  EXPECT_TRUE(device_->offered_features().Has(kSplit));
  EXPECT_FALSE(device_->offered_features().Has(kQueue));
}

TEST_F(NetHeaderSplitControlTest, NumbersAreThoseOfTheOptions) {
  header_split_.numbers = {.split_feature = 44,
                           .header_queue_feature = 49,
                           .split_class = 0x10,
                           .header_queue_class = 0x11};
  Make(1);
  EXPECT_FALSE(device_->offered_features().Has(kSplit));
  EXPECT_FALSE(device_->offered_features().Has(kQueue));
  EXPECT_TRUE(device_->offered_features().Has(44));
  EXPECT_TRUE(device_->offered_features().Has(49));
  EXPECT_FALSE(device_->AcceptFeatures(FeatureSet::Of(kFeatureVersion1, 44)));
  Start(FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetGuestCsum, 44), 3);
  EXPECT_EQ(Command(2, kSetTcp4), kNetControlError);
  EXPECT_EQ(Command(2, "\x10" + kSetTcp4.substr(1)), kNetControlOk);
}

// Both features need VERSION_1, CTRL_VQ and GUEST_CSUM.
TEST_F(NetHeaderSplitControlTest, FeaturesNeedWhatTheyNeed) {
  Make(1);
  constexpr std::array<uint32_t, 5> kBits = {kFeatureVersion1, kNetCtrlVq,
                                             kNetGuestCsum, kSplit, kQueue};
  for (uint32_t chosen = 0; chosen < 1u << kBits.size(); ++chosen) {
    SCOPED_TRACE(chosen);
    FeatureSet features;
    for (size_t i = 0; i < kBits.size(); ++i) {
      if ((chosen >> i & 1) != 0) features.Add(kBits[i]);
    }
    const bool splits = chosen >= 8;
    EXPECT_EQ(device_->AcceptFeatures(features), !splits || chosen % 8 == 7);
  }
}

TEST_F(NetHeaderSplitControlTest, WhatTheCardCannotDoIsAnErrorInOneLine) {
  EXPECT_EQ(ErrorOf(Options(), std::make_unique<PlainBackend>()),
            "net0: header split needs guest_csum, which its backend does not "
            "have");
  for (const uint32_t bit : {kNetCtrlVq, kNetGuestCsum}) {
    NetOptions options = Options();
    options.features.Remove(bit);
    EXPECT_EQ(ErrorOf(options, LoopbackBackend::Create(1).value()),
              bit == kNetCtrlVq ? "net0: header split needs ctrl_vq, which is "
                                  "not among its features"
                                : "net0: header split needs guest_csum, which "
                                  "is not among its features");
  }
  NetOptions options = Options();
  options.header_split.numbers.split_feature = 200;
  EXPECT_EQ(ErrorOf(options, LoopbackBackend::Create(1).value()),
            "net0: header split: split_feature: 200 is not below 64");
  EXPECT_EQ(ErrorOf(Options(), LoopbackBackend::Create(1).value()), "");
  // Who does not ask for it needs nothing.
  options = Options();
  options.header_split.offered = false;
  options.features.Remove(kNetCtrlVq);
  EXPECT_EQ(ErrorOf(options, std::make_unique<PlainBackend>()), "");
}

TEST_F(NetHeaderSplitControlTest, CommandsNeedTheirFeature) {
  Make(1);
  FeatureSet features = Features();
  features.Remove(kQueue);
  Start(features, 3);
  EXPECT_EQ(Command(2, kSetTcp4), kNetControlOk);
  EXPECT_EQ(Command(2, CreateQueue(0)), kNetControlError);
  device_->Reset();
  features = Features();
  features.Remove(kSplit);
  Start(features, 3);
  EXPECT_EQ(Command(2, kSetTcp4), kNetControlError);
  EXPECT_EQ(Command(2, CreateQueue(0)), kNetControlOk);
}

TEST_F(NetHeaderSplitControlTest, CapabilitiesFollowAck) {
  Make(1);
  FeatureSet features = Features();
  features.Add(kNetMrgRxbuf);
  Start(features, 3);
  NetQueueSide& control = *sides_[2];
  ASSERT_TRUE(control.driver.Chain()
                  .Readable(std::string("\x80\2", 2))
                  .Writable(1)
                  .Writable(16)
                  .Offer());
  control.Notify();
  const FakeDriver::Used used = control.AwaitUsed();
  EXPECT_EQ(used.data,
            std::string("\0\xf\0\0\0\0\0\0\0\xd\0\0\0\x7a\x40\0\0", 17));
}

TEST_F(NetHeaderSplitControlTest, HeaderQueuesAreMadeAttachedAndDestroyed) {
  Make(1);
  Start(Features(), 3);
  EXPECT_EQ(Command(2, AttachQueue(0, 5)), kNetControlError);
  EXPECT_EQ(Command(2, CreateQueue(5)), kNetControlOk);
  EXPECT_EQ(Command(2, CreateQueue(5)), kNetControlError);
  EXPECT_EQ(Command(2, AttachQueue(0, 5)), kNetControlOk);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlError);
  EXPECT_EQ(Command(2, DetachQueue(0)), kNetControlOk);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlOk);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlError);
}

// "vq_index" is of the queues that the negotiated features have.
TEST_F(NetHeaderSplitControlTest, OnlyReceiveQueuesThatThereAreAreAttachedTo) {
  Make(2);
  Start(Features(), 3);
  ASSERT_EQ(Command(2, CreateQueue(0)), kNetControlOk);
  for (const char vq : {1, 2, 3, 4}) {
    EXPECT_EQ(Command(2, AttachQueue(vq, 0)), kNetControlError) << int{vq};
  }
  device_->Reset();
  FeatureSet features = Features();
  features.Add(kNetMq);
  Start(features, 5);
  device_->StopQueue(2);  // Enabled or not.
  ASSERT_EQ(Command(4, CreateQueue(0)), kNetControlOk);
  EXPECT_EQ(Command(4, AttachQueue(0, 0)), kNetControlOk);
  EXPECT_EQ(Command(4, AttachQueue(2, 0)), kNetControlOk);
  for (const char vq : {1, 3, 4, 5, 6}) {
    EXPECT_EQ(Command(4, AttachQueue(vq, 0)), kNetControlError) << int{vq};
  }
}

TEST_F(NetHeaderSplitControlTest, AttachmentOutlivesTheResetOfItsQueue) {
  Make(1);
  Start(Features(), 3);
  ASSERT_EQ(Command(2, CreateQueue(5)), kNetControlOk);
  ASSERT_EQ(Command(2, AttachQueue(0, 5)), kNetControlOk);
  device_->StopQueue(0);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlError);
  StartQueue(0);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlError);
}

TEST_F(NetHeaderSplitControlTest, DeviceResetClearsEverything) {
  Make(1);
  Start(Features(), 3);
  ASSERT_EQ(Command(2, CreateQueue(5)), kNetControlOk);
  ASSERT_EQ(Command(2, AttachQueue(0, 5)), kNetControlOk);
  device_->Reset();
  Start(Features(), 3);
  EXPECT_EQ(Command(2, AttachQueue(0, 5)), kNetControlError);
  EXPECT_EQ(Command(2, CreateQueue(5)), kNetControlOk);
  EXPECT_EQ(Command(2, DestroyQueue(5)), kNetControlOk);
}

}  // namespace
}  // namespace annulus::virtio
