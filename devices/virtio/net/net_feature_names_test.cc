#include "devices/virtio/net/net_feature_names.h"

#include <set>
#include <string>
#include <vector>

#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// "FEATURE needs OTHER", or "".
std::string Text(const std::optional<UnmetNetFeature>& unmet) {
  if (!unmet.has_value()) return "";
  return std::string(unmet->feature->name) + " needs " +
         std::string(unmet->needed->name);
}

FeatureSet AllBut(std::vector<uint32_t> bits) {
  FeatureSet features = AllNetFeatures();
  for (const uint32_t bit : bits) features.Remove(bit);
  return features;
}

TEST(NetFeatureNamesTest, NamesAndBitsAreUniqueAndInOrder) {
  std::set<std::string> names;
  uint32_t last = 0;
  for (const NetFeature& feature : NetFeatures()) {
    EXPECT_TRUE(names.insert(std::string(feature.name)).second) << feature.name;
    EXPECT_TRUE(feature.bit == 0 || feature.bit > last) << feature.name;
    last = feature.bit;
    EXPECT_EQ(FindNetFeature(feature.name), &feature);
    EXPECT_TRUE(AllNetFeatures().Has(feature.bit));
  }
  EXPECT_EQ(names.size(), 31u);
  EXPECT_EQ(FindNetFeature("packed"), nullptr);
  EXPECT_EQ(FindNetFeature(""), nullptr);
  EXPECT_EQ(FindNetFeature("CSUM"), nullptr);
}

TEST(NetFeatureNamesTest, FeaturesOfNoImplementationAreNotOffered) {
  // VIRTIO_NET_F_DEVICE_STATS, HASH_TUNNEL, RSC_EXT, STANDBY; legacy GSO; the
  // transports' own.
  for (const uint32_t bit : {kNetDeviceStats, 51u, 61u, 62u, 6u,
                             kFeatureRingReset, kFeatureNotificationData}) {
    EXPECT_FALSE(AllNetFeatures().Has(bit)) << bit;
  }
  EXPECT_TRUE(AllNetFeatures().Has(kFeatureVersion1));
  EXPECT_TRUE(AllNetFeatures().Has(kFeatureRingPacked));
}

TEST(NetFeatureNamesTest, AllAndNoneNeedNothingElse) {
  EXPECT_EQ(Text(FindUnmetNetFeature(AllNetFeatures())), "");
  EXPECT_EQ(Text(FindUnofferableNetFeature(AllNetFeatures())), "");
  EXPECT_EQ(Text(FindUnmetNetFeature({})), "");
  EXPECT_EQ(OfferableNetFeatures(AllNetFeatures()), AllNetFeatures());
}

// Every line of virtio 1.4 §5.1.3.1 "Feature bit requirements" about features
// of ours: the feature alone is unmet, and met by each that it requires.
TEST(NetFeatureNamesTest, RequirementsAreThoseOfTheSpecification) {
  const struct {
    uint32_t bit;
    std::vector<uint32_t> any_of;
  } kLines[] = {
      {kNetGuestTso4, {kNetGuestCsum}},
      {kNetGuestTso6, {kNetGuestCsum}},
      {kNetGuestEcn, {kNetGuestTso4, kNetGuestTso6}},
      {kNetGuestUfo, {kNetGuestCsum}},
      {kNetGuestUso4, {kNetGuestCsum}},
      {kNetGuestUso6, {kNetGuestCsum}},
      {kNetHostTso4, {kNetCsum}},
      {kNetHostTso6, {kNetCsum}},
      {kNetHostEcn, {kNetHostTso4, kNetHostTso6}},
      {kNetHostUfo, {kNetCsum}},
      {kNetHostUso, {kNetCsum}},
      {kNetCtrlRx, {kNetCtrlVq}},
      {kNetCtrlVlan, {kNetCtrlVq}},
      {kNetGuestAnnounce, {kNetCtrlVq}},
      {kNetMq, {kNetCtrlVq}},
      {kNetCtrlMacAddr, {kNetCtrlVq}},
      {kNetNotfCoal, {kNetCtrlVq}},
      {kNetVqNotfCoal, {kNetCtrlVq}},
      {kNetRss, {kNetCtrlVq}},
  };
  std::set<uint32_t> with_requirement;
  for (const auto& line : kLines) {
    with_requirement.insert(line.bit);
    const auto alone = FindUnmetNetFeature(FeatureSet::Of(line.bit));
    ASSERT_TRUE(alone.has_value()) << line.bit;
    EXPECT_EQ(alone->feature->bit, line.bit);
    EXPECT_EQ(alone->needed->bit, line.any_of[0]);
    EXPECT_EQ(alone->or_needed == nullptr, line.any_of.size() == 1);
    if (line.any_of.size() > 1) {
      EXPECT_EQ(alone->or_needed->bit, line.any_of[1]);
    }
    for (const uint32_t other : line.any_of) {
      const auto rest = FindUnmetNetFeature(FeatureSet::Of(line.bit, other));
      EXPECT_TRUE(!rest.has_value() || rest->feature->bit != line.bit)
          << line.bit << " with " << other;
    }
    // Without all of them it is unmet whatever else there is.
    const FeatureSet offerable = OfferableNetFeatures(AllBut(line.any_of));
    EXPECT_FALSE(offerable.Has(line.bit)) << line.bit;
  }
  for (const NetFeature& feature : NetFeatures()) {
    if (with_requirement.count(feature.bit) == 1) continue;
    EXPECT_EQ(Text(FindUnmetNetFeature(FeatureSet::Of(feature.bit))), "");
  }
}

TEST(NetFeatureNamesTest, WithoutControlQueueItsFeaturesAreNotOffered) {
  for (const uint32_t bit :
       {kNetHashReport, kNetCtrlRxExtra, kNetCtrlGuestOffloads}) {
    EXPECT_EQ(Text(FindUnmetNetFeature(FeatureSet::Of(bit))), "");
    const auto unmet = FindUnofferableNetFeature(FeatureSet::Of(bit));
    ASSERT_TRUE(unmet.has_value()) << bit;
    EXPECT_EQ(unmet->feature->bit, bit);
    EXPECT_EQ(unmet->needed->name, "ctrl_vq");
  }
}

TEST(NetFeatureNamesTest, OfferableFollowsRequirementsOfRequirements) {
  const FeatureSet offerable = OfferableNetFeatures(AllBut({kNetCsum}));
  EXPECT_EQ(offerable, AllBut({kNetCsum, kNetHostTso4, kNetHostTso6,
                               kNetHostEcn, kNetHostUfo, kNetHostUso}));
  // One of the two that ECN asks for is enough.
  EXPECT_EQ(OfferableNetFeatures(AllBut({kNetHostTso4})),
            AllBut({kNetHostTso4}));
}

}  // namespace
}  // namespace annulus::virtio
