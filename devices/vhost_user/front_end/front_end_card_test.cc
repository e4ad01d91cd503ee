#include "devices/vhost_user/front_end/front_end_card.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "devices/vhost_user/front_end/back_end_offer.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/vsock.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

using virtio::FeatureSet;

constexpr uint64_t BitOf(uint32_t bit) { return uint64_t{1} << bit; }
constexpr uint64_t kVersion1 = BitOf(virtio::kFeatureVersion1);

std::string ErrorOf(const FrontEndType& type, const BackEndOffer& offer) {
  const absl::StatusOr<FrontEndCard> card = type.Card(offer);
  if (card.ok()) return "";
  EXPECT_EQ(card.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(card.status().message());
}

BackEndOffer Offer(std::vector<uint8_t> config, uint64_t features = 0) {
  return {.features = kVersion1 | features, .config = std::move(config)};
}

FeatureSet VsockFeatures() {
  return FeatureSet::Of(virtio::kFeatureVersion1, virtio::kVsockStream,
                        virtio::kFeatureRingPacked);
}

std::vector<uint8_t> Cid(uint8_t cid) { return {cid, 0, 0, 0, 0, 0, 0, 0}; }

TEST(FrontEndRngTest, DriverSeesWhatBothSidesName) {
  const FrontEndRng rng(
      FeatureSet::Of(virtio::kFeatureVersion1, virtio::kFeatureEventIdx));
  const auto card = rng.Card(Offer(
      {}, BitOf(virtio::kFeatureEventIdx) | BitOf(virtio::kFeatureRingPacked)));
  ASSERT_TRUE(card.ok());
  EXPECT_EQ(card->queues, 1);
  EXPECT_TRUE(card->offered.Has(virtio::kFeatureEventIdx));
  EXPECT_FALSE(card->offered.Has(virtio::kFeatureRingPacked));
}

// Bit 4 is datagrams in ours, which have queues of their own.
TEST(FrontEndVsockTest, FeatureThatIsNotKnownHereIsNotOffered) {
  const FrontEndVsock vsock(0, VsockFeatures());
  const auto card = vsock.Card(Offer(Cid(3), UINT64_MAX));
  ASSERT_TRUE(card.ok());
  EXPECT_EQ(card->queues, 3);
  EXPECT_TRUE(card->offered.Has(virtio::kVsockStream));
  for (uint32_t bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(card->offered.Has(bit), VsockFeatures().Has(bit)) << bit;
  }
}

TEST(FrontEndVsockTest, CidIsTheBackEndsAndAgreesWithTheGivenOne) {
  EXPECT_EQ(FrontEndVsock(0, VsockFeatures()).Card(Offer(Cid(5)))->config[0],
            5);
  EXPECT_EQ(FrontEndVsock(5, VsockFeatures()).Card(Offer(Cid(5)))->config[0],
            5);
  EXPECT_EQ(ErrorOf(FrontEndVsock(3, VsockFeatures()), Offer(Cid(5))),
            "the CID is 3 here, and 5 in the back-end");
  EXPECT_EQ(FrontEndVsock(3, VsockFeatures()).Card(Offer({}))->config, Cid(3));
  EXPECT_EQ(ErrorOf(FrontEndVsock(0, VsockFeatures()), Offer({})),
            "the back-end does not say what the guest's CID is: give one here");
}

TEST(FrontEndVsockTest, FewerQueuesAreRefused) {
  BackEndOffer offer = Offer(Cid(3));
  offer.queue_num = 2;
  EXPECT_EQ(ErrorOf(FrontEndVsock(0, VsockFeatures()), offer),
            "the back-end has 2 queues in place of 3");
  offer.queue_num = 3;
  EXPECT_EQ(ErrorOf(FrontEndVsock(0, VsockFeatures()), offer), "");
}

class FrontEndNetTest : public ::testing::Test {
 protected:
  FrontEndNetTest() {
    options_.mac = {2, 0, 0, 0, 0, 7};
    options_.may_offer = virtio::AllNetFeatures();
    config_.resize(virtio::kNetConfigBytes);
    config_[5] = 7;
    config_[0] = 2;
  }

  FrontEndNet::Options options_;
  std::vector<uint8_t> config_;
};

TEST_F(FrontEndNetTest, PairsAreTheBackEndsAndTheControlQueueIsBehindThem) {
  BackEndOffer offer =
      Offer(config_, BitOf(virtio::kNetCtrlVq) | BitOf(virtio::kNetMq));
  offer.queue_num = 4;
  const auto card = FrontEndNet(options_).Card(offer);
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->queues, 9);
  EXPECT_EQ(card->config[virtio::kNetConfigMaxPairs], 4);
  EXPECT_TRUE(card->offered.Has(virtio::kNetMq));
}

// DPDK's.
TEST_F(FrontEndNetTest, BackEndWithoutConfigurationHasOurAddressAndOnePair) {
  options_.mtu = 1400;
  BackEndOffer offer =
      Offer({}, BitOf(virtio::kNetCtrlVq) | BitOf(virtio::kNetMq) |
                    BitOf(virtio::kNetMrgRxbuf));
  offer.queue_num = 8;
  const auto card = FrontEndNet(options_).Card(offer);
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->queues, 2);
  EXPECT_TRUE(card->offered.Has(virtio::kNetMac));
  EXPECT_TRUE(card->offered.Has(virtio::kNetMtu));
  EXPECT_TRUE(card->offered.Has(virtio::kNetMrgRxbuf));
  EXPECT_FALSE(card->offered.Has(virtio::kNetCtrlVq));
  EXPECT_FALSE(card->offered.Has(virtio::kNetMq));
  EXPECT_EQ(card->config[5], 7);
  EXPECT_EQ(card->config[virtio::kNetConfigMtu], 1400 % 256);
}

TEST_F(FrontEndNetTest, GivenAddressAndMtuAgreeWithTheBackEnds) {
  const uint64_t mac = BitOf(virtio::kNetMac);
  const uint64_t mtu = BitOf(virtio::kNetMtu);
  options_.mac_given = true;
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_, mac)), "");
  constexpr char kOther[] =
      "the back-end has another address than the one that is given here";
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_)), kOther);
  options_.mac[5] = 8;
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_, mac)), kOther);
  options_.mac_given = false;
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_, mac)), "");
  options_.mtu = 1500;
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_, mac)),
            "the MTU is 1500 here, and 0 in the back-end");
  config_[virtio::kNetConfigMtu] = 1500 % 256;
  config_[virtio::kNetConfigMtu + 1] = 1500 / 256;
  EXPECT_EQ(ErrorOf(FrontEndNet(options_), Offer(config_, mac | mtu)), "");
}

}  // namespace
}  // namespace annulus::vhost_user
