#include "devices/virtio/net/steering/rss.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/net/steering/verification_vectors.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

std::optional<RssConfig> Parse(const RssBytes& bytes, uint16_t max_pairs = 4) {
  return RssConfig::ParseRss(bytes.Encode(), max_pairs);
}

RssConfig Hashing(uint32_t hash_types) {
  return *RssConfig::ParseHash(HashBytes(hash_types));
}

FrameBytes Frame4(const VerificationVector& vector, uint8_t protocol) {
  return Ethernet(kTypeIpv4,
                  Ipv4(vector.source, vector.destination, protocol,
                       Ports(vector.source_port, vector.destination_port)));
}
FrameBytes Frame6(const VerificationVector& vector, uint8_t protocol) {
  return Ethernet(kTypeIpv6,
                  Ipv6(vector.source, vector.destination, protocol,
                       Ports(vector.source_port, vector.destination_port)));
}

// The vector's addresses stand in a routing header and an option; the header
// has others.
FrameBytes FrameExtended(const VerificationVector& vector, uint8_t protocol) {
  const FrameBytes other = Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 9});
  return Ethernet(
      kTypeIpv6,
      Ipv6(other, other, 43,
           Joined({{60, 2, 2, 1, 0, 0, 0, 0},
                   vector.destination,
                   {protocol, 2, 1, 2, 0, 0, 201, 16},
                   vector.source,
                   Ports(vector.source_port, vector.destination_port)})));
}

TEST(RssHashTest, PublishedVectorsInFramesWithTheirReports) {
  const RssConfig rss = Hashing(RssConfig::kSupportedHashTypes);
  for (const VerificationVector& vector : Ipv4Vectors()) {
    EXPECT_EQ(rss.Hash(Frame4(vector, 1)),
              (FlowHash{.value = vector.addresses_hash, .report = 1}));
    EXPECT_EQ(rss.Hash(Frame4(vector, kTypeTcp)),
              (FlowHash{.value = vector.ports_hash, .report = 2}));
    EXPECT_EQ(rss.Hash(Frame4(vector, kTypeUdp)),
              (FlowHash{.value = vector.ports_hash, .report = 3}));
  }
  for (const VerificationVector& vector : Ipv6Vectors()) {
    EXPECT_EQ(rss.Hash(Frame6(vector, 58)),
              (FlowHash{.value = vector.addresses_hash, .report = 4}));
    EXPECT_EQ(rss.Hash(Frame6(vector, kTypeTcp)),
              (FlowHash{.value = vector.ports_hash, .report = 5}));
    EXPECT_EQ(rss.Hash(Frame6(vector, kTypeUdp)),
              (FlowHash{.value = vector.ports_hash, .report = 6}));
    EXPECT_EQ(rss.Hash(FrameExtended(vector, 58)),
              (FlowHash{.value = vector.addresses_hash, .report = 7}));
    EXPECT_EQ(rss.Hash(FrameExtended(vector, kTypeTcp)),
              (FlowHash{.value = vector.ports_hash, .report = 8}));
    EXPECT_EQ(rss.Hash(FrameExtended(vector, kTypeUdp)),
              (FlowHash{.value = vector.ports_hash, .report = 9}));
  }
}

// §5.1.6.4.3.2 to .4: which type is used depends on those that are enabled.
TEST(RssHashTest, DisabledTransportFallsBackToAddresses) {
  const VerificationVector& vector = Ipv4Vectors()[0];
  const RssConfig rss = Hashing(1u << kNetHashIpv4 | 1u << kNetHashTcpv4);
  EXPECT_EQ(rss.Hash(Frame4(vector, kTypeTcp)).report, 2);
  EXPECT_EQ(rss.Hash(Frame4(vector, kTypeUdp)),
            (FlowHash{.value = vector.addresses_hash, .report = 1}));
}

TEST(RssHashTest, NothingEnabledForAPacketMeansNoHash) {
  const VerificationVector& vector = Ipv4Vectors()[0];
  EXPECT_EQ(Hashing(1u << kNetHashTcpv4).Hash(Frame4(vector, kTypeUdp)),
            FlowHash());
  EXPECT_EQ(Hashing(0x1f8).Hash(Frame4(vector, kTypeTcp)), FlowHash());
  EXPECT_EQ(Hashing(0x1c0).Hash(Frame6(Ipv6Vectors()[0], kTypeTcp)),
            FlowHash());
  EXPECT_EQ(Hashing(0).Hash(Frame4(vector, kTypeTcp)), FlowHash());
  EXPECT_EQ(Hashing(0x1ff).Hash(Ethernet(0x0806, FrameBytes(46))), FlowHash());
}

TEST(RssHashTest, WithoutExtendedTypesExtensionHeadersAreSkipped) {
  const VerificationVector& vector = Ipv6Vectors()[0];
  const FrameBytes other = Ipv6Address({0x2001, 0xdb8, 0, 0, 0, 0, 0, 9});
  const RssConfig rss = Hashing(1u << kNetHashTcpv6 | 1u << kNetHashUdpEx);
  VerificationVector plain = vector;
  plain.source = plain.destination = other;
  EXPECT_EQ(rss.Hash(FrameExtended(vector, kTypeTcp)),
            rss.Hash(Frame6(plain, kTypeTcp)));
  EXPECT_EQ(rss.Hash(FrameExtended(vector, kTypeTcp)).report, 5);
}

TEST(RssConfigTest, AsMadeItNeitherHashesNorSteers) {
  const RssConfig rss;
  EXPECT_FALSE(rss.hashes());
  EXPECT_FALSE(rss.steers());
  EXPECT_EQ(rss.QueuePair(rss.Hash(Frame4(Ipv4Vectors()[0], kTypeTcp))), 0);
}

TEST(RssConfigTest, HashChoosesTheTableEntry) {
  RssBytes bytes;
  bytes.unclassified = 2;
  bytes.table = Joined({Little16(3), Little16(2), Little16(1), Little16(0)});
  const std::optional<RssConfig> rss = Parse(bytes);
  ASSERT_TRUE(rss.has_value());
  EXPECT_TRUE(rss->steers());
  for (uint32_t value = 0; value < 8; ++value) {
    EXPECT_EQ(rss->QueuePair({.value = value | 0xffff0000, .report = 1}),
              3 - value % 4);
  }
  EXPECT_EQ(rss->QueuePair({.value = 0, .report = 0}), 2);
}

TEST(RssConfigTest, ActivePairsCoverTransmittingAndEveryReceiveQueue) {
  RssBytes bytes;
  EXPECT_EQ(Parse(bytes, 8)->active_pairs(), 4);
  bytes.max_tx_vq = 6;
  EXPECT_EQ(Parse(bytes, 8)->active_pairs(), 6);
  bytes.max_tx_vq = 1;
  EXPECT_EQ(Parse(bytes, 8)->active_pairs(), 4);
  bytes.unclassified = 6;
  EXPECT_EQ(Parse(bytes, 8)->active_pairs(), 7);
}

TEST(RssConfigTest, StopSteeringKeepsTheHash) {
  RssConfig rss = *Parse(RssBytes());
  const FrameBytes frame = Frame4(Ipv4Vectors()[1], kTypeTcp);
  const FlowHash before = rss.Hash(frame);
  EXPECT_NE(rss.QueuePair(before), rss.QueuePair({}));
  rss.StopSteering();
  EXPECT_FALSE(rss.steers());
  EXPECT_EQ(rss.Hash(frame), before);
  EXPECT_EQ(rss.QueuePair(before), 0);
}

TEST(RssConfigTest, TablesFromOneEntryToTheGreatestAreAccepted) {
  for (uint32_t entries = 1; entries <= kNetRssTableEntries; entries *= 2) {
    RssBytes bytes;
    bytes.mask = static_cast<uint16_t>(entries - 1);
    bytes.table = FrameBytes(size_t{2} * entries);
    EXPECT_TRUE(Parse(bytes).has_value()) << entries;
  }
}

TEST(RssConfigTest, ShortKeyIsFollowedByZeros) {
  RssBytes bytes;
  bytes.key.resize(16);
  bytes.key_length = 16;
  RssBytes padded = bytes;
  padded.key.resize(40);
  padded.key_length = 40;
  const FrameBytes frame = Frame6(Ipv6Vectors()[0], kTypeTcp);
  EXPECT_EQ(Parse(bytes)->Hash(frame), Parse(padded)->Hash(frame));
}

TEST(RssConfigTest, NoHashTypesNeedNoKey) {
  RssBytes bytes;
  bytes.hash_types = 0;
  bytes.key_length = 0;
  bytes.key.clear();
  const std::optional<RssConfig> rss = Parse(bytes);
  ASSERT_TRUE(rss.has_value());
  EXPECT_FALSE(rss->hashes());
  EXPECT_TRUE(rss->steers());
}

// bad_inputs 30: "RSS indirection index: CVE-2024-6505".
TEST(BadRssConfigTest, QueueBeyondThePairsIsRefused) {
  RssBytes bytes;
  EXPECT_TRUE(Parse(bytes, 4).has_value());
  EXPECT_FALSE(Parse(bytes, 3).has_value());
  bytes.table = Joined({Little16(0), Little16(0xffff), FrameBytes(4)});
  EXPECT_FALSE(Parse(bytes, 4).has_value());
  bytes = {};
  bytes.unclassified = 4;
  EXPECT_FALSE(Parse(bytes, 4).has_value());
}

// "le16 reserved: 1; /* Set to zero */"
TEST(BadRssConfigTest, ReservedBitOfAQueueIdIsRefused) {
  RssBytes bytes;
  bytes.unclassified = 0x8000;
  EXPECT_FALSE(Parse(bytes).has_value());
  bytes = {};
  bytes.table[1] = 0x80;
  EXPECT_FALSE(Parse(bytes).has_value());
}

// "MUST be a power of two"; "MUST use indirection_table_mask values that are
// less than rss_max_indirection_table_length".
TEST(BadRssConfigTest, TableLengthIsRefused) {
  for (const uint16_t mask : {2, 4, 126, 128, 255, 0x7fff, 0xffff}) {
    RssBytes bytes;
    bytes.mask = mask;
    bytes.table = FrameBytes(size_t{2} * (mask + 1));
    EXPECT_FALSE(Parse(bytes).has_value()) << mask;
  }
}

// "A driver MUST NOT set any VIRTIO_NET_HASH_TYPE_ flags that are not supported
// by a device."
TEST(BadRssConfigTest, UnknownHashTypeIsRefused) {
  for (uint32_t bit = 9; bit < 32; ++bit) {
    RssBytes bytes;
    bytes.hash_types = 1u << bit;
    EXPECT_FALSE(Parse(bytes).has_value()) << bit;
    EXPECT_FALSE(RssConfig::ParseHash(HashBytes(1u << bit)).has_value()) << bit;
  }
}

TEST(BadRssConfigTest, TransmitQueueCountIsRefused) {
  RssBytes bytes;
  for (const uint16_t max_tx_vq : {0, 5, 0xffff}) {
    bytes.max_tx_vq = max_tx_vq;
    EXPECT_FALSE(Parse(bytes, 4).has_value()) << max_tx_vq;
  }
}

// bad_inputs 30, key length.
TEST(BadRssConfigTest, KeyLengthIsRefused) {
  RssBytes bytes;
  bytes.key_length = 41;
  bytes.key = FrameBytes(41);
  EXPECT_FALSE(Parse(bytes).has_value()) << "longer than rss_max_key_size";
  bytes.key_length = 255;
  EXPECT_FALSE(Parse(bytes).has_value()) << "longer than the data";
  bytes.key_length = 39;
  bytes.key = FrameBytes(40);
  EXPECT_FALSE(Parse(bytes).has_value()) << "shorter than the data";
  bytes.key_length = 0;
  bytes.key.clear();
  EXPECT_FALSE(Parse(bytes).has_value()) << "hash types without a key";
}

// bad_inputs 30: "ctrl command truncated".
TEST(BadRssConfigTest, EveryTruncationAndExcessIsRefused) {
  const FrameBytes rss = RssBytes().Encode();
  const FrameBytes hash = HashBytes(0x1ff);
  for (size_t bytes = 0; bytes < rss.size(); ++bytes) {
    const FrameBytes cut(rss.begin(), rss.begin() + bytes);
    EXPECT_FALSE(RssConfig::ParseRss(cut, 4).has_value()) << bytes;
  }
  for (size_t bytes = 0; bytes < hash.size(); ++bytes) {
    const FrameBytes cut(hash.begin(), hash.begin() + bytes);
    EXPECT_FALSE(RssConfig::ParseHash(cut).has_value()) << bytes;
  }
  EXPECT_TRUE(RssConfig::ParseRss(rss, 4).has_value());
  EXPECT_FALSE(RssConfig::ParseRss(Joined({rss, {0}}), 4).has_value());
  EXPECT_TRUE(RssConfig::ParseHash(hash).has_value());
  EXPECT_FALSE(RssConfig::ParseHash(Joined({hash, {0}})).has_value());
}

// Linux fills struct virtio_net_rss_config for both commands.
TEST(HashConfigTest, ReservedFieldsAreIgnored) {
  FrameBytes bytes = HashBytes(0x1ff);
  bytes[10] = 4;
  const std::optional<RssConfig> config = RssConfig::ParseHash(bytes);
  ASSERT_TRUE(config.has_value());
  EXPECT_TRUE(config->hashes());
  EXPECT_FALSE(config->steers());
}

}  // namespace
}  // namespace annulus::virtio
