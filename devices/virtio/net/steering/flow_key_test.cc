#include "devices/virtio/net/steering/flow_key.h"

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Network = FlowKey::Network;
using Transport = FlowKey::Transport;

const FrameBytes kSource4 = {10, 0, 0, 1};
const FrameBytes kDestination4 = {10, 0, 0, 2};
const FrameBytes kSource6 = Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 1});
const FrameBytes kDestination6 = Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 2});
const FrameBytes kHome = Ipv6Address({0x2001, 0xdb8, 9, 0, 0, 0, 0, 1});
const FrameBytes kRouted = Ipv6Address({0x2001, 0xdb8, 9, 0, 0, 0, 0, 2});
const FrameBytes kPortPair = {0x12, 0x34, 0x56, 0x78};

FrameBytes TestPorts() { return Ports(0x1234, 0x5678); }

FrameBytes Input(const FlowKey& key) {
  const size_t bytes =
      key.address_bytes() + (key.transport == Transport::kNone ? 0 : 4);
  return {key.input.begin(), key.input.begin() + bytes};
}
FrameBytes ExtendedInput(const FlowKey& key) {
  const size_t bytes = 32 + (key.transport == Transport::kNone ? 0 : 4);
  return {key.extended_input.begin(), key.extended_input.begin() + bytes};
}

// An IPv6 frame with these headers after the IPv6 header.
FlowKey ParseIpv6(uint8_t next, const FrameBytes& payload) {
  return ParseFlowKey(
      Ethernet(kTypeIpv6, Ipv6(kSource6, kDestination6, next, payload)));
}

FrameBytes DestinationOptions(uint8_t next) {
  return Joined(
      {{next, 2, /*PadN*/ 1, 2, 0, 0, /*Home address*/ 201, 16}, kHome});
}
FrameBytes RoutingType2(uint8_t next) {
  return Joined(
      {{next, 2, /*type*/ 2, /*segments left*/ 1, 0, 0, 0, 0}, kRouted});
}

TEST(FlowKeyTest, Ipv4WithTcpAndUdp) {
  FlowKey key = ParseFlowKey(Ethernet(
      kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeTcp, TestPorts())));
  EXPECT_EQ(key.network, Network::kIpv4);
  EXPECT_EQ(key.transport, Transport::kTcp);
  EXPECT_EQ(Input(key), Joined({kSource4, kDestination4, kPortPair}));
  key = ParseFlowKey(Ethernet(
      kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeUdp, TestPorts())));
  EXPECT_EQ(key.transport, Transport::kUdp);
  EXPECT_EQ(Input(key), Joined({kSource4, kDestination4, kPortPair}));
}

TEST(FlowKeyTest, Ipv4WithTheMostOptionsHasPortsAfterThem) {
  const FlowKey key = ParseFlowKey(
      Ethernet(kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeTcp, TestPorts(),
                               /*fragment=*/0, FrameBytes(40, 1))));
  EXPECT_EQ(Input(key), Joined({kSource4, kDestination4, kPortPair}));
}

TEST(FlowKeyTest, OtherProtocolsHaveNoPorts) {
  const FlowKey key = ParseFlowKey(Ethernet(
      kTypeIpv4, Ipv4(kSource4, kDestination4, /*ICMP*/ 1, TestPorts())));
  EXPECT_EQ(key.network, Network::kIpv4);
  EXPECT_EQ(key.transport, Transport::kNone);
}

TEST(FlowKeyTest, FragmentsOfIpv4HaveNoPorts) {
  for (const uint16_t fragment : {0x2000, 0x2001, 0x0001, 0x1fff}) {
    const FlowKey key =
        ParseFlowKey(Ethernet(kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeUdp,
                                              TestPorts(), fragment)));
    EXPECT_EQ(key.network, Network::kIpv4);
    EXPECT_EQ(key.transport, Transport::kNone) << fragment;
  }
  const FlowKey unfragmented = ParseFlowKey(
      Ethernet(kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeUdp, TestPorts(),
                               /*DF*/ 0x4000)));
  EXPECT_EQ(unfragmented.transport, Transport::kUdp);
}

TEST(FlowKeyTest, PaddingBehindThePacketIsNoPorts) {
  FrameBytes frame = Ethernet(
      kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeTcp, FrameBytes(3)));
  frame.resize(60);
  EXPECT_EQ(ParseFlowKey(frame).network, Network::kIpv4);
  EXPECT_EQ(ParseFlowKey(frame).transport, Transport::kNone);
  frame = Ethernet(kTypeIpv6,
                   Ipv6(kSource6, kDestination6, kTypeTcp, FrameBytes(3)));
  frame.resize(60);
  EXPECT_EQ(ParseFlowKey(frame).network, Network::kIpv6);
  EXPECT_EQ(ParseFlowKey(frame).transport, Transport::kNone);
}

TEST(FlowKeyTest, UpToTwoVlanTagsAreSkipped) {
  const FrameBytes packet =
      Ipv4(kSource4, kDestination4, kTypeTcp, TestPorts());
  const FrameBytes one = Vlan(5, kTypeIpv4, packet);
  EXPECT_EQ(ParseFlowKey(Ethernet(kTypeVlan, one)).transport, Transport::kTcp);
  const FrameBytes two = Vlan(6, kTypeVlan, one);
  EXPECT_EQ(ParseFlowKey(Ethernet(kTypeServiceVlan, two)).transport,
            Transport::kTcp);
  const FrameBytes three = Vlan(7, kTypeServiceVlan, two);
  EXPECT_EQ(ParseFlowKey(Ethernet(kTypeServiceVlan, three)).network,
            Network::kNone);
}

TEST(FlowKeyTest, OtherEtherTypesAreNoFlow) {
  const FrameBytes packet =
      Ipv4(kSource4, kDestination4, kTypeTcp, TestPorts());
  EXPECT_EQ(ParseFlowKey(Ethernet(/*ARP*/ 0x0806, packet)).network,
            Network::kNone);
  EXPECT_EQ(ParseFlowKey(Ethernet(/*a length*/ 46, packet)).network,
            Network::kNone);
}

TEST(FlowKeyTest, VersionOtherThanTheEtherTypesIsNoFlow) {
  EXPECT_EQ(ParseFlowKey(Ethernet(kTypeIpv6, Ipv4(kSource4, kDestination4,
                                                  kTypeTcp, FrameBytes(40))))
                .network,
            Network::kNone);
  EXPECT_EQ(ParseFlowKey(Ethernet(kTypeIpv4, Ipv6(kSource6, kDestination6,
                                                  kTypeTcp, TestPorts())))
                .network,
            Network::kNone);
}

TEST(FlowKeyTest, Ipv4HeaderShorterThanPossibleIsNoFlow) {
  FrameBytes frame =
      Ethernet(kTypeIpv4, Ipv4(kSource4, kDestination4, kTypeTcp, TestPorts()));
  frame[14] = 0x44;
  EXPECT_EQ(ParseFlowKey(frame).network, Network::kNone);
}

TEST(FlowKeyTest, Ipv6WithoutExtensionHeaders) {
  const FlowKey key = ParseIpv6(kTypeUdp, TestPorts());
  EXPECT_EQ(key.network, Network::kIpv6);
  EXPECT_EQ(key.transport, Transport::kUdp);
  EXPECT_FALSE(key.has_extension_headers);
  EXPECT_EQ(Input(key), Joined({kSource6, kDestination6, kPortPair}));
}

TEST(FlowKeyTest, HomeAddressAndRoutingHeaderAreInTheExtendedInput) {
  const FlowKey key = ParseIpv6(
      43,
      Joined({RoutingType2(60), DestinationOptions(kTypeTcp), TestPorts()}));
  EXPECT_TRUE(key.has_extension_headers);
  EXPECT_EQ(key.transport, Transport::kTcp);
  EXPECT_EQ(Input(key), Joined({kSource6, kDestination6, kPortPair}));
  EXPECT_EQ(ExtendedInput(key), Joined({kHome, kRouted, kPortPair}));
}

TEST(FlowKeyTest, OneOfTheTwoLeavesTheOtherAddress) {
  FlowKey key =
      ParseIpv6(60, Joined({DestinationOptions(kTypeTcp), TestPorts()}));
  EXPECT_EQ(ExtendedInput(key), Joined({kHome, kDestination6, kPortPair}));
  key = ParseIpv6(43, Joined({RoutingType2(kTypeTcp), TestPorts()}));
  EXPECT_EQ(ExtendedInput(key), Joined({kSource6, kRouted, kPortPair}));
}

TEST(FlowKeyTest, OtherExtensionHeadersAreSkipped) {
  const FrameBytes hop_by_hop = {51, 0, 1, 4, 0, 0, 0, 0};
  const FrameBytes authentication = {135, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const FrameBytes mobility = {kTypeTcp, 0, 0, 0, 0, 0, 0, 0};
  const FlowKey key =
      ParseIpv6(0, Joined({hop_by_hop, authentication, mobility, TestPorts()}));
  EXPECT_TRUE(key.has_extension_headers);
  EXPECT_EQ(key.transport, Transport::kTcp);
  EXPECT_EQ(ExtendedInput(key), Joined({kSource6, kDestination6, kPortPair}));
}

TEST(FlowKeyTest, RoutingHeadersOfOtherTypesOrLengthsHaveNoAddress) {
  FrameBytes routing = RoutingType2(kTypeTcp);
  routing[2] = 0;
  EXPECT_EQ(ExtendedInput(ParseIpv6(43, Joined({routing, TestPorts()}))),
            Joined({kSource6, kDestination6, kPortPair}));
  routing[2] = 2;
  routing[1] = 3;  // The ports are the last 8 bytes of it now.
  EXPECT_EQ(
      ExtendedInput(ParseIpv6(43, Joined({routing, TestPorts(), TestPorts()}))),
      Joined({kSource6, kDestination6, kPortPair}));
}

TEST(FlowKeyTest, FragmentsOfIpv6HaveNoPorts) {
  for (const uint16_t fragment : {0x0001, 0x0008, 0xfff8}) {
    const FrameBytes header =
        Joined({{kTypeTcp, 0}, BigEndian(fragment), {0, 0, 0, 1}});
    const FlowKey key = ParseIpv6(44, Joined({header, TestPorts()}));
    EXPECT_EQ(key.network, Network::kIpv6);
    EXPECT_TRUE(key.has_extension_headers);
    EXPECT_EQ(key.transport, Transport::kNone) << fragment;
  }
  const FrameBytes whole = {kTypeTcp, 0, 0, 0, 0, 0, 0, 1};
  EXPECT_EQ(ParseIpv6(44, Joined({whole, TestPorts()})).transport,
            Transport::kTcp);
}

TEST(FlowKeyTest, HomeAddressOptionThatIsCutOffIsNotThere) {
  FrameBytes options = DestinationOptions(kTypeTcp);
  options[1] = 1;  // 16 bytes, and the option would end at 24.
  const FlowKey key = ParseIpv6(60, options);
  EXPECT_EQ(
      FrameBytes(key.extended_input.begin(), key.extended_input.begin() + 16),
      kSource6);
  // The same with the end of the packet.
  options = DestinationOptions(kTypeTcp);
  options.pop_back();
  EXPECT_EQ(ExtendedInput(ParseIpv6(60, options)),
            Joined({kSource6, kDestination6}));
}

// The deepest frame that kFlowPrefixBytes is meant for.
TEST(FlowKeyTest, PrefixReachesThePortsBehindEverything) {
  const FrameBytes packet = Ipv6(
      kSource6, kDestination6, 43,
      Joined({RoutingType2(60), DestinationOptions(kTypeUdp), TestPorts()}));
  FrameBytes frame = Ethernet(kTypeServiceVlan,
                              Vlan(1, kTypeVlan, Vlan(2, kTypeIpv6, packet)));
  frame.resize(kFlowPrefixBytes);
  EXPECT_EQ(ExtendedInput(ParseFlowKey(frame)),
            Joined({kHome, kRouted, kPortPair}));
}

TEST(FlowKeyTest, ExtensionHeadersBeyondThePrefixHideThePorts) {
  FrameBytes headers;
  for (int i = 0; i < 100; ++i) {
    headers = Joined({headers, {0, 0, 1, 4, 0, 0, 0, 0}});
  }
  const FlowKey key = ParseIpv6(0, headers);
  EXPECT_TRUE(key.has_extension_headers);
  EXPECT_EQ(key.transport, Transport::kNone);
}

TEST(FlowKeyTest, FramesCutAnywhereAreParsedWithoutWhatIsMissing) {
  const FrameBytes frame =
      Ethernet(kTypeVlan,
               Vlan(1, kTypeIpv6,
                    Ipv6(kSource6, kDestination6, 43,
                         Joined({RoutingType2(60), DestinationOptions(kTypeUdp),
                                 TestPorts()}))));
  for (size_t bytes = 0; bytes <= frame.size(); ++bytes) {
    // A heap block of exactly this size, so that a sanitizer sees any excess.
    const FrameBytes cut(frame.begin(), frame.begin() + bytes);
    const FlowKey key = ParseFlowKey(cut);
    EXPECT_EQ(key.network == Network::kIpv6, bytes >= 18 + 40) << bytes;
    EXPECT_EQ(key.transport == Transport::kUdp, bytes >= 18 + 40 + 48 + 4)
        << bytes;
  }
}

}  // namespace
}  // namespace annulus::virtio
