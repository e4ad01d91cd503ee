#include "devices/virtio/net/filter/receive_filter.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/net/filter/address_table.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr MacAddress kOwn = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kListed = {2, 0, 0, 0, 0, 2};
constexpr MacAddress kForeign = {2, 0, 0, 0, 0, 3};
constexpr MacAddress kListedGroup = {1, 0, 0x5e, 0, 0, 1};
constexpr MacAddress kForeignGroup = {1, 0, 0x5e, 0, 0, 2};
constexpr MacAddress kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

Bytes Frame(const MacAddress& destination) {
  Bytes frame(destination.begin(), destination.end());
  frame.insert(frame.end(), {2, 9, 9, 9, 9, 9, 0x08, 0x00, 0x45, 0, 0, 0});
  return frame;
}

Bytes Tagged(uint16_t tag, uint16_t type = 0x8100) {
  Bytes frame = Frame(kOwn);
  frame[12] = static_cast<uint8_t>(type >> 8);
  frame[13] = static_cast<uint8_t>(type);
  frame[14] = static_cast<uint8_t>(tag >> 8);
  frame[15] = static_cast<uint8_t>(tag);
  return frame;
}

AddressTable Table(const MacAddress& mac) {
  return AddressTable(Bytes(mac.begin(), mac.end()));
}

// What it accepts, a letter for each kind of destination.
std::string Accepted(const ReceiveFilter& filter) {
  std::string accepted;
  if (filter.Accepts(Frame(kOwn))) accepted += 'o';
  if (filter.Accepts(Frame(kListed))) accepted += 'l';
  if (filter.Accepts(Frame(kForeign))) accepted += 'f';
  if (filter.Accepts(Frame(kListedGroup))) accepted += 'L';
  if (filter.Accepts(Frame(kForeignGroup))) accepted += 'F';
  if (filter.Accepts(Frame(kBroadcast))) accepted += 'B';
  return accepted;
}

ReceiveFilter Filter() {
  return ReceiveFilter(
      FeatureSet::Of(kNetMac, kNetCtrlRx, kNetCtrlRxExtra, kNetCtrlVlan), kOwn);
}

ReceiveFilter FilterWithTables() {
  ReceiveFilter filter = Filter();
  filter.SetTables(Table(kListed), Table(kListedGroup));
  return filter;
}

TEST(ReceiveFilterTest, WithoutControlEverythingIsAccepted) {
  const ReceiveFilter filter(FeatureSet::Of(kNetMac), kOwn);
  EXPECT_EQ(Accepted(filter), "olfLFB");
  EXPECT_TRUE(filter.Accepts(Tagged(7)));
  EXPECT_TRUE(filter.accepts_everything());
  EXPECT_EQ(Accepted(ReceiveFilter()), "olfLFB");
}

// "The device MUST have an empty MAC filtering table on reset."
TEST(ReceiveFilterTest, BeforeAnyCommandOwnAddressAndBroadcastAreAccepted) {
  EXPECT_EQ(Accepted(Filter()), "oB");
  EXPECT_FALSE(Filter().accepts_everything());
}

TEST(ReceiveFilterTest, TablesAddTheirAddresses) {
  EXPECT_EQ(Accepted(FilterWithTables()), "olLB");
  ReceiveFilter filter = FilterWithTables();
  filter.SetTables({}, {});
  EXPECT_EQ(Accepted(filter), "oB");
}

// Each switch of §5.1.6.5.1, alone and together with those that it overrides.
struct ModeCase {
  std::vector<ReceiveFilter::Mode> modes;
  const char* accepted;
};

TEST(ReceiveFilterTest, ModesAddAndSuppress) {
  const ModeCase cases[] = {
      {{}, "olLB"},
      {{ReceiveFilter::kPromiscuous}, "olfLFB"},
      {{ReceiveFilter::kAllMulticast}, "olLFB"},
      {{ReceiveFilter::kAllUnicast}, "olfLB"},
      {{ReceiveFilter::kNoMulticast}, "olB"},
      {{ReceiveFilter::kNoUnicast}, "LB"},
      {{ReceiveFilter::kNoBroadcast}, "olL"},
      {{ReceiveFilter::kAllMulticast, ReceiveFilter::kNoMulticast}, "olB"},
      {{ReceiveFilter::kAllUnicast, ReceiveFilter::kNoUnicast}, "LB"},
      {{ReceiveFilter::kAllMulticast, ReceiveFilter::kNoBroadcast}, "olLF"},
      {{ReceiveFilter::kPromiscuous, ReceiveFilter::kNoMulticast,
        ReceiveFilter::kNoUnicast, ReceiveFilter::kNoBroadcast},
       "olfLFB"},
  };
  for (const ModeCase& test : cases) {
    ReceiveFilter filter = FilterWithTables();
    for (const ReceiveFilter::Mode mode : test.modes) {
      filter.SetMode(mode, true);
      EXPECT_TRUE(filter.mode(mode));
    }
    EXPECT_EQ(Accepted(filter), test.accepted);
    for (const ReceiveFilter::Mode mode : test.modes) {
      filter.SetMode(mode, false);
    }
    EXPECT_EQ(Accepted(filter), "olLB");
  }
}

TEST(ReceiveFilterTest, SuppressionWorksWithoutAddressFiltering) {
  ReceiveFilter filter(FeatureSet::Of(kNetMac, kNetCtrlRxExtra), kOwn);
  EXPECT_TRUE(filter.accepts_everything());
  filter.SetMode(ReceiveFilter::kNoMulticast, true);
  EXPECT_FALSE(filter.accepts_everything());
  EXPECT_EQ(Accepted(filter), "olfB");
}

TEST(ReceiveFilterTest, TableThatOverflowedAcceptsAllOfItsKindOnly) {
  const AddressTable overflowed(
      Bytes((AddressTable::kMaxEntries + 1) * AddressTable::kAddressBytes));
  ReceiveFilter filter = Filter();
  filter.SetTables(overflowed, Table(kListedGroup));
  EXPECT_EQ(Accepted(filter), "olfLB");
  filter.SetTables(Table(kListed), overflowed);
  EXPECT_EQ(Accepted(filter), "olLFB");
}

TEST(ReceiveFilterTest, NewAddressReplacesTheOldOne) {
  ReceiveFilter filter = Filter();
  filter.SetMac(kForeign);
  EXPECT_EQ(filter.mac(), kForeign);
  EXPECT_EQ(Accepted(filter), "fB");
}

// Without VIRTIO_NET_F_MAC the driver "SHOULD use a locally-administered MAC
// address", which nobody knows here.
TEST(ReceiveFilterTest, UnicastIsAcceptedUntilTheDriversAddressIsKnown) {
  ReceiveFilter filter(FeatureSet::Of(kNetCtrlRx), kOwn);
  EXPECT_EQ(Accepted(filter), "olfB");
  filter.SetMac(kForeign);
  EXPECT_EQ(Accepted(filter), "fB");
}

// "MUST accept all VLAN tagged packets whose VLAN tag is present in the VLAN
// filter table and SHOULD drop all [...] whose VLAN tag is absent"
TEST(ReceiveFilterTest, OnlyVlansOfTheTableAreAccepted) {
  ReceiveFilter filter = Filter();
  for (const uint16_t vlan : {1, 63, 64, 4095}) {
    EXPECT_FALSE(filter.Accepts(Tagged(vlan))) << vlan;
    filter.AddVlan(vlan);
    EXPECT_TRUE(filter.Accepts(Tagged(vlan))) << vlan;
    EXPECT_TRUE(filter.Accepts(Tagged(0xf000 | vlan))) << "with priority bits";
    EXPECT_FALSE(filter.Accepts(Tagged(vlan ^ 2)));
    filter.RemoveVlan(vlan);
    EXPECT_FALSE(filter.Accepts(Tagged(vlan))) << vlan;
  }
}

TEST(ReceiveFilterTest, UntaggedPriorityAndServiceTaggedFramesHaveNoVlan) {
  EXPECT_TRUE(Filter().Accepts(Frame(kOwn)));
  EXPECT_TRUE(Filter().Accepts(Tagged(0xe000)));
  EXPECT_TRUE(Filter().Accepts(Tagged(7, 0x88a8)));
}

TEST(ReceiveFilterTest, AddressCountsInAnAcceptedVlan) {
  ReceiveFilter filter = Filter();
  filter.AddVlan(7);
  Bytes frame = Tagged(7);
  frame[5] = 9;
  EXPECT_FALSE(filter.Accepts(frame));
}

TEST(ReceiveFilterTest, PromiscuousModeAcceptsEveryVlan) {
  ReceiveFilter filter = Filter();
  filter.SetMode(ReceiveFilter::kPromiscuous, true);
  EXPECT_TRUE(filter.Accepts(Tagged(7)));
  EXPECT_TRUE(filter.accepts_everything());
}

TEST(ReceiveFilterTest, FramesThatEndInTheirHeadersAreNotAccepted) {
  ReceiveFilter promiscuous = Filter();
  promiscuous.SetMode(ReceiveFilter::kPromiscuous, true);
  for (size_t bytes = 0; bytes < 14; ++bytes) {
    // A heap block of exactly this size, so that a sanitizer sees any excess.
    Bytes frame = Frame(kOwn);
    frame.resize(bytes);
    frame.shrink_to_fit();
    EXPECT_FALSE(promiscuous.Accepts(frame)) << bytes;
    EXPECT_FALSE(ReceiveFilter().Accepts(frame)) << bytes;
  }
  ReceiveFilter filter = Filter();
  filter.AddVlan(7);
  for (size_t bytes = 14; bytes < ReceiveFilter::kPrefixBytes; ++bytes) {
    Bytes frame = Tagged(7);
    frame.resize(bytes);
    frame.shrink_to_fit();
    EXPECT_FALSE(filter.Accepts(frame)) << bytes;
  }
}

}  // namespace
}  // namespace annulus::virtio
