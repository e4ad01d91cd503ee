#include "devices/virtio/net/header_split/split_point.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "absl/types/span.h"
#include "devices/virtio/net/header_split/split_frame.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kEsp = 50;
constexpr uint8_t kAuthentication = 51;
constexpr uint8_t kIcmpv6 = 58;
constexpr uint8_t kNoNextHeader = 59;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kMobility = 135;

// Of a prefix of the frame that is exactly as long, on the heap: a sanitizer
// sees a read beyond it. nullopt: too short to tell.
std::optional<SplitPoint> FindIn(const FrameBytes& frame, size_t prefix_bytes,
                                 const NetHeader& header = {}) {
  const FrameBytes prefix(frame.begin(),
                          frame.begin() + static_cast<int64_t>(prefix_bytes));
  const SplitPoint untouched = {.type = 0x55, .header_bytes = 55, .flow = 5555};
  SplitPoint point = untouched;
  if (FindSplitPoint(prefix, static_cast<uint32_t>(frame.size()), header,
                     point)) {
    return point;
  }
  EXPECT_EQ(point.type, untouched.type);
  EXPECT_EQ(point.header_bytes, untouched.header_bytes);
  EXPECT_EQ(point.flow, untouched.flow);
  return std::nullopt;
}

SplitPoint Find(const FrameBytes& frame, const NetHeader& header = {}) {
  const std::optional<SplitPoint> point = FindIn(frame, frame.size(), header);
  EXPECT_TRUE(point.has_value()) << "all of the frame was there";
  return point.value_or(SplitPoint());
}

void ExpectSplit(const FrameBytes& frame, uint64_t type, size_t header_bytes,
                 const NetHeader& header = {}) {
  const SplitPoint point = Find(frame, header);
  EXPECT_EQ(point.type, type);
  EXPECT_EQ(point.header_bytes, header_bytes);
}

void ExpectWhole(const FrameBytes& frame, const NetHeader& header = {}) {
  const SplitPoint point = Find(frame, header);
  EXPECT_EQ(point.type, 0u);
  EXPECT_EQ(point.header_bytes, 0u);
}

FrameBytes Changed(FrameBytes frame, size_t offset, uint8_t value) {
  frame[offset] = value;
  return frame;
}

// The vectors of docs/header_split.md, "Recognition".

TEST(SplitPointTest, Vector1Ipv4TcpWithTimestamps) {
  const FrameBytes frame = TcpFrame4(4096);
  ASSERT_EQ(frame.size(), 66u + 4096);
  ExpectSplit(frame, kSplitTcp4, 66);
}

TEST(SplitPointTest, Vector2PureAck) {
  ASSERT_EQ(TcpFrame4(0).size(), 66u);
  ExpectWhole(TcpFrame4(0));
  ExpectWhole(TcpFrame6(0));
}

TEST(SplitPointTest, Vector3FirstFragmentAndFragmentHeader) {
  constexpr uint16_t kMoreFragments = 0x2000;
  ExpectWhole(
      Ethernet(kTypeIpv4, SplitIpv4(kTypeUdp, Udp(1000), kMoreFragments)));
  ExpectWhole(Ethernet(
      kTypeIpv6,
      SplitIpv6(kFragment, Joined({{kTypeUdp, 0, /*more*/ 0, 1, 0, 0, 0, 7},
                                   Udp(1000)}))));
}

TEST(SplitPointTest, Vector4LongestIpv4AndTcpOptions) {
  ExpectSplit(Ethernet(kTypeIpv4, SplitIpv4(kTypeTcp, Tcp(1000, 15), 0,
                                            FrameBytes(40, 1))),
              kSplitTcp4, 134);
}

TEST(SplitPointTest, Vector5OneVlanTag) {
  ExpectSplit(
      Ethernet(kTypeVlan, Vlan(7, kTypeIpv4, SplitIpv4(kTypeTcp, Tcp(4096)))),
      kSplitTcp4, 70);
}

TEST(SplitPointTest, Vector6UdpWithOneByte) {
  ExpectSplit(UdpFrame4(1), kSplitUdp4, 42);
}

TEST(SplitPointTest, Vector7LargestIpv4Segments) {
  const FrameBytes frame = TcpFrame4(65483);
  ASSERT_EQ(frame.size(), 65549u);
  ExpectSplit(frame, kSplitTcp4, 66,
              {.flags = kNetHeaderNeedsCsum,
               .gso_type = kNetGsoTcpv4,
               .hdr_len = 66,
               .gso_size = 1448,
               .csum_start = 34,
               .csum_offset = 16});
}

TEST(SplitPointTest, Vector8DataOffsetBeyondTheFrame) {
  const FrameBytes frame = TcpFrame4(10, 5);
  ExpectWhole(Changed(frame, 14 + 20 + 12, 15 << 4));
  // As far as the end, which leaves no payload.
  const FrameBytes full = TcpFrame4(40, 5);
  ExpectWhole(Changed(full, 14 + 20 + 12, 15 << 4));
}

TEST(SplitPointTest, Vector10PaddedFrame) {
  FrameBytes frame = UdpFrame4(4);
  frame.resize(60);
  ExpectWhole(frame);
  frame = TcpFrame4(0, 5);
  frame.resize(60);
  ExpectWhole(frame);
}

// Ethernet.

TEST(SplitPointTest, AllFourTypes) {
  ExpectSplit(TcpFrame4(1, 5), kSplitTcp4, 14 + 20 + 20);
  ExpectSplit(TcpFrame6(1, 5), kSplitTcp6, 14 + 40 + 20);
  ExpectSplit(UdpFrame4(1), kSplitUdp4, 14 + 20 + 8);
  ExpectSplit(UdpFrame6(1), kSplitUdp6, 14 + 40 + 8);
}

TEST(SplitPointTest, VlanTags) {
  for (const uint16_t outer : {kTypeVlan, kTypeServiceVlan}) {
    for (const uint16_t inner : {kTypeVlan, kTypeServiceVlan}) {
      FrameBytes packet = SplitIpv6(kTypeUdp, Udp(100));
      ExpectSplit(Ethernet(kTypeIpv6, packet), kSplitUdp6, 62);
      packet = Vlan(1, kTypeIpv6, packet);
      ExpectSplit(Ethernet(inner, packet), kSplitUdp6, 66);
      packet = Vlan(2, inner, packet);
      ExpectSplit(Ethernet(outer, packet), kSplitUdp6, 70);
      packet = Vlan(3, outer, packet);
      ExpectWhole(Ethernet(outer, packet));
    }
  }
}

TEST(SplitPointTest, OtherEtherTypes) {
  const FrameBytes packet = SplitIpv4(kTypeTcp, Tcp(100));
  // ARP, MPLS, PPPoE, a length of 802.3, the old type of QinQ.
  for (const uint16_t type : {0x0806, 0x8847, 0x8864, 0x0100, 0x9100}) {
    ExpectWhole(Ethernet(type, packet));
  }
}

TEST(SplitPointTest, ShorterThanEthernet) {
  for (size_t bytes = 0; bytes < 14; ++bytes) {
    ExpectWhole(FrameBytes(bytes, 0x08));
  }
}

// IPv4. The header is at 14.

TEST(SplitPointTest, Ipv4Version) {
  for (uint8_t version = 0; version < 16; ++version) {
    if (version == 4) continue;
    ExpectWhole(
        Changed(TcpFrame4(100), 14, static_cast<uint8_t>(version << 4 | 5)));
  }
}

TEST(SplitPointTest, Ipv4HeaderLength) {
  for (uint8_t words = 0; words < 5; ++words) {
    ExpectWhole(
        Changed(TcpFrame4(100), 14, static_cast<uint8_t>(0x40 | words)));
  }
  for (size_t words = 5; words < 16; ++words) {
    ExpectSplit(Ethernet(kTypeIpv4, SplitIpv4(kTypeUdp, Udp(100), 0,
                                              FrameBytes(words * 4 - 20))),
                kSplitUdp4, 14 + words * 4 + 8);
  }
}

TEST(SplitPointTest, Ipv4HeaderBeyondTheFrame) {
  // 15 words are said to be, and the frame ends before, or with them.
  for (const size_t payload : {0, 10, 31, 32, 33, 39}) {
    ExpectWhole(Changed(UdpFrame4(payload), 14, 0x4f));
  }
}

TEST(SplitPointTest, Ipv4TotalLengthShorterThanItsHeader) {
  for (const uint8_t length : {0, 1, 19}) {
    FrameBytes frame = Changed(UdpFrame4(100), 16, 0);
    ExpectWhole(Changed(frame, 17, length));
  }
  // Options count.
  FrameBytes frame =
      Ethernet(kTypeIpv4, SplitIpv4(kTypeUdp, Udp(100), 0, FrameBytes(4, 1)));
  frame[16] = 0;
  ExpectWhole(Changed(frame, 17, 23));
}

TEST(SplitPointTest, Ipv4TotalLengthBeyondTheFrame) {
  // The definition does not forbid it: L is what counts.
  ExpectSplit(Changed(UdpFrame4(100), 16, 0xff), kSplitUdp4, 42);
}

TEST(SplitPointTest, Ipv4Padding) {
  FrameBytes frame = UdpFrame4(100);
  frame.push_back(0);
  ExpectWhole(frame);
  frame = TcpFrame4(100);
  frame.push_back(0);
  ExpectWhole(frame);
}

TEST(SplitPointTest, Ipv4Fragments) {
  const auto frame = [](uint16_t fragment) {
    return Ethernet(kTypeIpv4, SplitIpv4(kTypeTcp, Tcp(100), fragment));
  };
  for (int bit = 0; bit < 14; ++bit) {
    ExpectWhole(frame(static_cast<uint16_t>(1 << bit)));
  }
  // DF, and the bit that is reserved, say nothing of fragments.
  ExpectSplit(frame(0x4000), kSplitTcp4, 66);
  ExpectSplit(frame(0x8000), kSplitTcp4, 66);
}

TEST(SplitPointTest, Ipv4OtherProtocols) {
  for (int protocol = 0; protocol < 256; ++protocol) {
    if (protocol == kTypeTcp || protocol == kTypeUdp) continue;
    ExpectWhole(
        Changed(TcpFrame4(100), 14 + 9, static_cast<uint8_t>(protocol)));
  }
}

// IPv6. The header is at 14, what follows it at 54.

TEST(SplitPointTest, Ipv6Version) {
  for (uint8_t version = 0; version < 16; ++version) {
    if (version == 6) continue;
    ExpectWhole(
        Changed(TcpFrame6(100), 14, static_cast<uint8_t>(version << 4)));
  }
}

TEST(SplitPointTest, Ipv6ExtensionHeaders) {
  for (const uint8_t kind :
       {kHopByHop, kRouting, kDestinationOptions, kAuthentication}) {
    for (const size_t bytes : {8, 16, 24, 64}) {
      ExpectSplit(
          Ethernet(kTypeIpv6,
                   SplitIpv6(kind, Extension(kind, kTypeTcp, bytes, Tcp(100)))),
          kSplitTcp6, 54 + bytes + 32);
    }
  }
}

TEST(SplitPointTest, Ipv6AuthenticationHeaderHasWordsOfFour) {
  // RFC 4302: 12 bytes and a 96-bit ICV; and the longest.
  for (const size_t bytes : {12, 24, 28, 1028}) {
    ExpectSplit(
        Ethernet(kTypeIpv6,
                 SplitIpv6(kAuthentication, Extension(kAuthentication, kTypeUdp,
                                                      bytes, Udp(50)))),
        kSplitUdp6, 54 + bytes + 8);
  }
}

TEST(SplitPointTest, Ipv6AllKindsInOnePacket) {
  FrameBytes packet = Tcp(100, 5);
  packet = Extension(kAuthentication, kTypeTcp, 24, packet);
  packet = Extension(kDestinationOptions, kAuthentication, 16, packet);
  packet = Extension(kRouting, kDestinationOptions, 24, packet);
  packet = Extension(kHopByHop, kRouting, 8, packet);
  ExpectSplit(Ethernet(kTypeIpv6, SplitIpv6(kHopByHop, packet)), kSplitTcp6,
              54 + 8 + 24 + 16 + 24 + 20);
}

FrameBytes WithDestinationOptions(int count, size_t bytes,
                                  const FrameBytes& payload) {
  FrameBytes packet = payload;
  uint8_t next = kTypeTcp;
  for (int i = 0; i < count; ++i) {
    packet = Extension(kDestinationOptions, next, bytes, packet);
    next = kDestinationOptions;
  }
  return SplitIpv6(next, packet);
}

TEST(SplitPointTest, Ipv6EightExtensionHeadersAndNotNine) {
  ExpectSplit(Ethernet(kTypeIpv6, WithDestinationOptions(8, 8, Tcp(100))),
              kSplitTcp6, 54 + 64 + 32);
  ExpectWhole(Ethernet(kTypeIpv6, WithDestinationOptions(9, 8, Tcp(100))));
}

TEST(SplitPointTest, LongestHeader) {
  const FrameBytes frame = Ethernet(
      kTypeServiceVlan,
      Vlan(1, kTypeVlan,
           Vlan(2, kTypeIpv6, WithDestinationOptions(8, 2048, Tcp(100, 15)))));
  ExpectSplit(frame, kSplitTcp6, kMaxSplitHeaderBytes);
  EXPECT_EQ(FindIn(frame, kMaxSplitHeaderBytes)->header_bytes,
            kMaxSplitHeaderBytes);
  EXPECT_EQ(FindIn(frame, kMaxSplitHeaderBytes - 1), std::nullopt);
}

TEST(SplitPointTest, Ipv6AtomicFragment) {
  // RFC 6946: offset 0 and no more of them. It has a fragment header.
  ExpectWhole(Ethernet(
      kTypeIpv6, SplitIpv6(kFragment, Joined({{kTypeTcp, 0, 0, 0, 0, 0, 0, 7},
                                              Tcp(100)}))));
}

TEST(SplitPointTest, Ipv6FragmentBehindOthers) {
  const FrameBytes fragment = Joined({{kTypeTcp, 0, 0, 0, 0, 0, 0, 7}, Tcp(9)});
  ExpectWhole(Ethernet(
      kTypeIpv6,
      SplitIpv6(kHopByHop, Extension(kHopByHop, kFragment, 8, fragment))));
}

TEST(SplitPointTest, Ipv6OtherNextHeaders) {
  for (const uint8_t next : {kEsp, kIcmpv6, kNoNextHeader, kMobility,
                             uint8_t{4}, uint8_t{41}, uint8_t{255}}) {
    ExpectWhole(Ethernet(kTypeIpv6, SplitIpv6(next, Tcp(100))));
    ExpectWhole(
        Ethernet(kTypeIpv6,
                 SplitIpv6(kRouting, Extension(kRouting, next, 8, Tcp(100)))));
  }
}

TEST(SplitPointTest, Ipv6ExtensionHeaderBeyondTheFrame) {
  FrameBytes frame =
      Ethernet(kTypeIpv6,
               SplitIpv6(kRouting, Extension(kRouting, kTypeTcp, 8, Tcp(100))));
  ExpectWhole(Changed(frame, 55, 255));
  // To its end, and to a place too close to it for TCP.
  ExpectWhole(Changed(frame, 55, (8 + 32 + 100 + 7) / 8));
  ExpectWhole(Changed(frame, 55, (8 + 32 + 100 - 24) / 8));
}

TEST(SplitPointTest, Ipv6PayloadLengthZeroIsBoundByTheFrame) {
  FrameBytes frame = Changed(TcpFrame6(100), 18, 0);
  ExpectSplit(Changed(frame, 19, 0), kSplitTcp6, 86);
  // Longer than IPv6 can say.
  FrameBytes big = TcpFrame6(65400);
  big.resize(14 + 40 + 65539);
  big[18] = big[19] = 0;
  ExpectSplit(big, kSplitTcp6, 86);
}

TEST(SplitPointTest, Ipv6Padding) {
  FrameBytes frame = UdpFrame6(100);
  frame.push_back(0);
  ExpectWhole(frame);
  frame = Changed(TcpFrame6(100), 18, 0);
  ExpectWhole(Changed(frame, 19, 1));
}

TEST(SplitPointTest, Ipv6PayloadLengthBeyondTheFrame) {
  ExpectSplit(Changed(TcpFrame6(100), 18, 0xff), kSplitTcp6, 86);
}

// TCP, UDP.

TEST(SplitPointTest, TcpDataOffset) {
  for (size_t words = 0; words < 16; ++words) {
    const FrameBytes frame = TcpFrame4(100, words);
    if (words < 5) {
      ExpectWhole(frame);
    } else {
      ExpectSplit(frame, kSplitTcp4, 34 + words * 4);
    }
  }
}

TEST(SplitPointTest, OneByteOfPayloadIsEnough) {
  ExpectWhole(UdpFrame4(0));
  ExpectWhole(UdpFrame6(0));
  ExpectSplit(UdpFrame6(1), kSplitUdp6, 62);
  ExpectSplit(TcpFrame4(1), kSplitTcp4, 66);
}

// The virtio-net header.

TEST(SplitPointTest, ChecksumStartHasToAgree) {
  NetHeader header = {.flags = kNetHeaderNeedsCsum, .csum_start = 34};
  ExpectSplit(TcpFrame4(100), kSplitTcp4, 66, header);
  ExpectSplit(UdpFrame4(100), kSplitUdp4, 42, header);
  ExpectWhole(TcpFrame6(100), header);
  for (const uint16_t start : {0, 14, 33, 35, 54, 66, 65535}) {
    header.csum_start = start;
    ExpectWhole(TcpFrame4(100), header);
  }
  header.csum_start = 54;
  ExpectSplit(TcpFrame6(100), kSplitTcp6, 86, header);
  // It says nothing without the flag.
  header.flags = kNetHeaderDataValid;
  ExpectSplit(TcpFrame4(100), kSplitTcp4, 66, header);
}

TEST(SplitPointTest, TunnelsAreWhole) {
  NetHeader header = {.flags = kNetHeaderNeedsCsum, .csum_start = 34};
  for (const uint8_t tunnel : {0x20, 0x40, 0x60}) {
    for (const uint8_t inner : {kNetGsoNone, kNetGsoTcpv4, kNetGsoUdpL4}) {
      header.gso_type = tunnel | inner;
      ExpectWhole(UdpFrame4(1000), header);
      ExpectWhole(UdpFrame4(1000), {.gso_type = header.gso_type});
    }
  }
  header.gso_type = kNetGsoTcpv4 | kNetGsoEcn;
  ExpectSplit(TcpFrame4(1000), kSplitTcp4, 66, header);
}

TEST(SplitPointTest, HeaderLengthIsNotBelieved) {
  NetHeader header = {.flags = kNetHeaderNeedsCsum,
                      .gso_type = kNetGsoTcpv4,
                      .gso_size = 1448,
                      .csum_start = 34};
  for (const uint16_t length : {0, 54, 65, 67, 65535}) {
    header.hdr_len = length;
    ExpectSplit(TcpFrame4(5000), kSplitTcp4, 66, header);
  }
}

// Prefixes, and frames that end early.

TEST(SplitPointTest, EveryPrefix) {
  for (const FrameBytes& frame :
       {TcpFrame4(200), UdpFrame4(200), TcpFrame6(200), UdpFrame6(200),
        Ethernet(
            kTypeVlan,
            Vlan(1, kTypeIpv6, WithDestinationOptions(3, 24, Tcp(80, 15))))}) {
    const uint32_t header_bytes = Find(frame).header_bytes;
    ASSERT_NE(header_bytes, 0u);
    for (size_t bytes = 0; bytes <= frame.size(); ++bytes) {
      const std::optional<SplitPoint> point = FindIn(frame, bytes);
      if (bytes < header_bytes) {
        EXPECT_EQ(point, std::nullopt) << bytes;
      } else {
        EXPECT_EQ(point, Find(frame)) << bytes;
      }
    }
  }
}

TEST(SplitPointTest, PrefixOfWhatIsNotSplit) {
  // Known as soon as it is seen: an EtherType, a protocol, padding.
  EXPECT_EQ(FindIn(Ethernet(0x0806, FrameBytes(100)), 14)->type, 0u);
  EXPECT_EQ(FindIn(Changed(TcpFrame4(500), 23, 1), 34)->type, 0u);
  EXPECT_EQ(FindIn(Ethernet(kTypeIpv6, SplitIpv6(kEsp, Tcp(500))), 54)->type,
            0u);
  FrameBytes padded = TcpFrame4(500);
  padded.push_back(0);
  EXPECT_EQ(FindIn(padded, 34)->type, 0u);
}

TEST(SplitPointTest, FrameThatEndsEarly) {
  for (const FrameBytes& frame :
       {TcpFrame4(20), UdpFrame4(20), TcpFrame6(20), UdpFrame6(20),
        Ethernet(kTypeIpv6, WithDestinationOptions(2, 16, Tcp(20))),
        Ethernet(kTypeVlan,
                 Vlan(1, kTypeIpv4,
                      SplitIpv4(kTypeTcp, Tcp(20), 0, FrameBytes(8, 1))))}) {
    const SplitPoint whole = Find(frame);
    ASSERT_NE(whole.type, 0u);
    for (size_t bytes = 0; bytes < frame.size(); ++bytes) {
      const FrameBytes cut(frame.begin(),
                           frame.begin() + static_cast<int64_t>(bytes));
      if (bytes > whole.header_bytes) {
        EXPECT_EQ(Find(cut), whole) << bytes;
      } else {
        ExpectWhole(cut);
      }
    }
  }
}

// Flows.

TEST(SplitPointTest, FlowIsThatOfAddressesAndPorts) {
  EXPECT_EQ(Find(TcpFrame4(1)).flow, Find(TcpFrame4(5000, 5)).flow);
  EXPECT_EQ(Find(UdpFrame6(1)).flow, Find(UdpFrame6(3000)).flow);
  std::set<uint32_t> flows;
  for (uint16_t port = 0; port < 1000; ++port) {
    flows.insert(
        Find(Ethernet(kTypeIpv4, SplitIpv4(kTypeTcp, Tcp(9, 5, 80, port))))
            .flow);
    flows.insert(
        Find(Ethernet(kTypeIpv6, SplitIpv6(kTypeTcp, Tcp(9, 5, port, 80))))
            .flow);
  }
  // 32 bits: two of 2000 are the same with a probability of 1 to 2000, and the
  // mix has no chance in it.
  EXPECT_EQ(flows.size(), 2000u);
  for (size_t i = 0; i < 8; ++i) {
    flows.insert(Find(Changed(TcpFrame4(9), 14 + 12 + i, 99)).flow);
  }
  for (size_t i = 0; i < 32; ++i) {
    flows.insert(Find(Changed(TcpFrame6(9), 14 + 8 + i, 99)).flow);
  }
  EXPECT_EQ(flows.size(), 2040u);
}

TEST(SplitPointTest, FlowOfWhatIsNotSplitIsItsKind) {
  const FrameBytes arp = Ethernet(0x0806, FrameBytes(50));
  const FrameBytes icmp = Ethernet(kTypeIpv4, SplitIpv4(1, FrameBytes(50)));
  const FrameBytes icmpv6 =
      Ethernet(kTypeIpv6, SplitIpv6(kIcmpv6, FrameBytes(50)));
  EXPECT_EQ(
      (std::set<uint32_t>{Find(arp).flow, Find(icmp).flow, Find(icmpv6).flow})
          .size(),
      3u);
  EXPECT_EQ(Find(icmp).flow,
            Find(Ethernet(kTypeIpv4, SplitIpv4(1, FrameBytes(9)))).flow);
}

}  // namespace
}  // namespace annulus::virtio
