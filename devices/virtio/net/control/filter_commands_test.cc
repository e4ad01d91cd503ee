#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/net/control/command_fixture.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/filter/address_table.h"
#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

const FrameBytes kUnicast = {2, 0, 0, 0, 0, 7};
const FrameBytes kMulticast = {1, 0, 0x5e, 0, 0, 7};

class FilterCommandsTest : public CommandFixture {
 protected:
  bool Accepts(const FrameBytes& destination) const {
    return settings_.filter.Accepts(
        Ethernet(kTypeIpv4, FrameBytes(46), destination));
  }
  bool AcceptsVlan(uint16_t vlan) const {
    const FrameBytes own(kFixtureMac.begin(), kFixtureMac.end());
    return settings_.filter.Accepts(
        Ethernet(kTypeVlan, Vlan(vlan, kTypeIpv4, FrameBytes(46)), own));
  }
};

TEST_F(FilterCommandsTest, EachRxCommandSwitchesItsModeOnAndOff) {
  for (uint8_t command = 0; command < ReceiveFilter::kModes; ++command) {
    for (const uint8_t on : {1, 0}) {
      const ControlReply reply = Execute(kNetControlRx, command, {on});
      EXPECT_TRUE(reply.ok);
      EXPECT_TRUE(reply.settings_changed);
      for (uint8_t mode = 0; mode < ReceiveFilter::kModes; ++mode) {
        EXPECT_EQ(settings_.filter.mode(static_cast<ReceiveFilter::Mode>(mode)),
                  mode == command && on == 1);
      }
    }
  }
}

TEST_F(FilterCommandsTest, RxCommandsNeedTheirFeatureAndOneByte) {
  for (const uint8_t command : {kNetControlRxPromisc, kNetControlRxAllMulti}) {
    ExpectExactDataAndFeature(kNetControlRx, command, {1}, kNetCtrlRx);
  }
  for (const uint8_t command : {kNetControlRxAllUni, kNetControlRxNoMulti,
                                kNetControlRxNoUni, kNetControlRxNoBcast}) {
    ExpectExactDataAndFeature(kNetControlRx, command, {1}, kNetCtrlRxExtra);
  }
}

// "The command-specific-data is one byte containing 0 (off) or 1 (on)."
TEST_F(FilterCommandsTest, RxModeOtherThanOnAndOffIsRefused) {
  ExpectRefused(kNetControlRx, kNetControlRxPromisc, {2});
  ExpectRefused(kNetControlRx, kNetControlRxAllUni, {0xff});
}

TEST_F(FilterCommandsTest, TableSetReplacesBothTables) {
  ASSERT_TRUE(
      Succeeds(kNetControlMac, kNetControlMacTableSet,
               Joined({Little32(1), kUnicast, Little32(1), kMulticast})));
  EXPECT_TRUE(Accepts(kUnicast));
  EXPECT_TRUE(Accepts(kMulticast));
  ASSERT_TRUE(Succeeds(kNetControlMac, kNetControlMacTableSet,
                       Joined({Little32(0), Little32(0)})));
  EXPECT_FALSE(Accepts(kUnicast));
  EXPECT_FALSE(Accepts(kMulticast));
}

// Of Linux, whose interface listens to more addresses than there is room for.
TEST_F(FilterCommandsTest, TableOfTooManyAddressesAcceptsAllOfItsKind) {
  FrameBytes many;
  const uint32_t count = AddressTable::kMaxEntries + 1;
  for (uint32_t i = 0; i < count; ++i) {
    many = Joined({many, {1, 0, 0x5e, 1, 1, static_cast<uint8_t>(i)}});
  }
  ASSERT_TRUE(Succeeds(kNetControlMac, kNetControlMacTableSet,
                       Joined({Little32(0), Little32(count), many})));
  EXPECT_TRUE(Accepts(kMulticast));
  EXPECT_FALSE(Accepts(kUnicast));
}

// bad_inputs 30: "ctrl command truncated".
TEST_F(FilterCommandsTest, TableSetNeedsItsFeatureAndExactData) {
  ExpectExactDataAndFeature(
      kNetControlMac, kNetControlMacTableSet,
      Joined({Little32(2), kUnicast, kUnicast, Little32(1), kMulticast}),
      kNetCtrlRx);
}

TEST_F(FilterCommandsTest, TableSetWithCountsThatOverflowIsRefused) {
  // 0x2aaaaaab addresses of 6 bytes are 2 more than 2^32.
  for (const uint32_t count : {0xffffffffu, 0x80000000u, 0x2aaaaaabu, 2u}) {
    ExpectRefused(kNetControlMac, kNetControlMacTableSet,
                  Joined({Little32(count), kUnicast, Little32(0)}));
    ExpectRefused(kNetControlMac, kNetControlMacTableSet,
                  Joined({Little32(0), Little32(count), kMulticast}));
  }
}

// "followed by that number of non-multicast MAC addresses, followed by another
// le32 number, followed by that number of multicast addresses"
TEST_F(FilterCommandsTest, TableSetWithAddressesOfTheOtherKindIsRefused) {
  ExpectRefused(kNetControlMac, kNetControlMacTableSet,
                Joined({Little32(1), kMulticast, Little32(0)}));
  ExpectRefused(kNetControlMac, kNetControlMacTableSet,
                Joined({Little32(0), Little32(2), kMulticast, kUnicast}));
}

TEST_F(FilterCommandsTest, AddrSetChangesFilterAndConfiguration) {
  ASSERT_TRUE(Succeeds(kNetControlMac, kNetControlMacAddrSet, kUnicast));
  EXPECT_TRUE(Accepts(kUnicast));
  EXPECT_FALSE(Accepts({kFixtureMac.begin(), kFixtureMac.end()}));
  EXPECT_EQ(FrameBytes(target_.mac.begin(), target_.mac.end()), kUnicast);
}

TEST_F(FilterCommandsTest, AddrSetNeedsItsFeatureAndSixBytes) {
  ExpectExactDataAndFeature(kNetControlMac, kNetControlMacAddrSet, kUnicast,
                            kNetCtrlMacAddr);
}

TEST_F(FilterCommandsTest, AddrSetToNoUnicastAddressIsRefused) {
  ExpectRefused(kNetControlMac, kNetControlMacAddrSet, kMulticast);
  ExpectRefused(kNetControlMac, kNetControlMacAddrSet, FrameBytes(6, 0xff));
  ExpectRefused(kNetControlMac, kNetControlMacAddrSet, FrameBytes(6, 0));
}

TEST_F(FilterCommandsTest, VlansAreAddedAndDeleted) {
  EXPECT_FALSE(AcceptsVlan(4095));
  ASSERT_TRUE(Succeeds(kNetControlVlan, kNetControlVlanAdd, {0xff, 0x0f}));
  EXPECT_TRUE(AcceptsVlan(4095));
  EXPECT_FALSE(AcceptsVlan(4094));
  ASSERT_TRUE(Succeeds(kNetControlVlan, kNetControlVlanDel, {0xff, 0x0f}));
  EXPECT_FALSE(AcceptsVlan(4095));
}

TEST_F(FilterCommandsTest, VlanCommandsNeedTheirFeatureAndTwoBytes) {
  ExpectExactDataAndFeature(kNetControlVlan, kNetControlVlanAdd, {5, 0},
                            kNetCtrlVlan);
  ExpectExactDataAndFeature(kNetControlVlan, kNetControlVlanDel, {5, 0},
                            kNetCtrlVlan);
}

TEST_F(FilterCommandsTest, VlanBeyondTwelveBitsIsRefused) {
  ExpectRefused(kNetControlVlan, kNetControlVlanAdd, {0, 0x10});
  ExpectRefused(kNetControlVlan, kNetControlVlanDel, {0xff, 0xff});
}

TEST_F(FilterCommandsTest, UnknownCommandsAreRefused) {
  ExpectRefused(kNetControlRx, 6, {1});
  ExpectRefused(kNetControlRx, 0xff, {1});
  ExpectRefused(kNetControlMac, 2, kUnicast);
  ExpectRefused(kNetControlVlan, 2, {5, 0});
}

}  // namespace
}  // namespace annulus::virtio
