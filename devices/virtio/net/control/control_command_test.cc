// The classes that stand in no other test: ANNOUNCE, MQ, GUEST_OFFLOADS and
// NOTF_COAL.

#include "devices/virtio/net/control/control_command.h"

#include <cstdint>
#include <string>
#include <vector>

#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/control/command_fixture.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/recording_target.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Calls = std::vector<std::string>;

class AnnounceCommandTest : public CommandFixture {};

TEST_F(AnnounceCommandTest, AcknowledgementReachesTheDevice) {
  const ControlReply reply =
      Execute(kNetControlAnnounce, kNetControlAnnounceAck, {});
  EXPECT_TRUE(reply.ok);
  EXPECT_EQ(target_.calls, Calls{"announce"});
}

TEST_F(AnnounceCommandTest, NeedsItsFeatureAndNoData) {
  ExpectExactDataAndFeature(kNetControlAnnounce, kNetControlAnnounceAck, {},
                            kNetGuestAnnounce);
  ExpectRefused(kNetControlAnnounce, 1, {});
}

class MultiqueueCommandsTest : public CommandFixture {};

TEST_F(MultiqueueCommandsTest, PairsReachTheBackendAndTheWorkers) {
  for (const uint16_t pairs : {4, 2, 1}) {
    target_.calls.clear();
    EXPECT_TRUE(Execute(kNetControlMq, kNetControlMqPairsSet, Little16(pairs))
                    .settings_changed);
    EXPECT_EQ(settings_.active_pairs, pairs);
    EXPECT_EQ(target_.calls, Calls{"pairs " + std::to_string(pairs)});
  }
}

// bad_inputs 30: "ctrl-vq pairs > max: CH 0e085592b".
TEST_F(MultiqueueCommandsTest, PairsZeroOrBeyondTheMaximumAreRefused) {
  for (const uint16_t pairs : {0, 5, 0x7fff, 0x8000, 0xffff}) {
    ExpectRefused(kNetControlMq, kNetControlMqPairsSet, Little16(pairs));
  }
}

TEST_F(MultiqueueCommandsTest, CommandsNeedTheirFeatureAndExactData) {
  ExpectExactDataAndFeature(kNetControlMq, kNetControlMqPairsSet, Little16(2),
                            kNetMq);
  ExpectExactDataAndFeature(kNetControlMq, kNetControlMqRssConfig,
                            RssBytes().Encode(), kNetRss);
  ExpectExactDataAndFeature(kNetControlMq, kNetControlMqHashConfig,
                            HashBytes(0x1ff), kNetHashReport);
  ExpectRefused(kNetControlMq, 3, Little16(1));
}

TEST_F(MultiqueueCommandsTest, BackendThatRefusesChangesNothing) {
  ASSERT_TRUE(Succeeds(kNetControlMq, kNetControlMqPairsSet, Little16(3)));
  target_.refuses = true;
  const NetSettings before = settings_;
  EXPECT_FALSE(Succeeds(kNetControlMq, kNetControlMqPairsSet, Little16(2)));
  EXPECT_FALSE(
      Succeeds(kNetControlMq, kNetControlMqRssConfig, RssBytes().Encode()));
  EXPECT_TRUE(settings_ == before);
}

TEST_F(MultiqueueCommandsTest, RssSteersOverItsQueues) {
  ASSERT_TRUE(
      Succeeds(kNetControlMq, kNetControlMqRssConfig, RssBytes().Encode()));
  EXPECT_TRUE(settings_.rss.steers());
  EXPECT_EQ(settings_.active_pairs, 4);
  EXPECT_EQ(target_.calls, Calls{"pairs 4"});
}

// bad_inputs 30: "RSS indirection index: CVE-2024-6505".
TEST_F(MultiqueueCommandsTest, RssQueueBeyondThePairsIsRefused) {
  RssBytes bytes;
  bytes.table[6] = 4;
  ExpectRefused(kNetControlMq, kNetControlMqRssConfig, bytes.Encode());
}

// "the resulting device configuration is defined by the last command"
TEST_F(MultiqueueCommandsTest, LastCommandDefinesTheMode) {
  ASSERT_TRUE(
      Succeeds(kNetControlMq, kNetControlMqRssConfig, RssBytes().Encode()));
  ASSERT_TRUE(Succeeds(kNetControlMq, kNetControlMqPairsSet, Little16(2)));
  EXPECT_FALSE(settings_.rss.steers());
  EXPECT_TRUE(settings_.rss.hashes()) << "for reporting";
  EXPECT_EQ(settings_.active_pairs, 2);
  ASSERT_TRUE(
      Succeeds(kNetControlMq, kNetControlMqRssConfig, RssBytes().Encode()));
  ASSERT_TRUE(Succeeds(kNetControlMq, kNetControlMqHashConfig, HashBytes(1)));
  EXPECT_FALSE(settings_.rss.steers());
  EXPECT_EQ(settings_.active_pairs, 4);
}

class OffloadsCommandTest : public CommandFixture {
 protected:
  bool Set(uint64_t bits) {
    return Succeeds(kNetControlGuestOffloads, kNetControlGuestOffloadsSet,
                    Little64(bits));
  }
};

constexpr uint64_t Bit(uint32_t bit) { return uint64_t{1} << bit; }

// "Upon feature negotiation corresponding offload gets enabled"
TEST_F(OffloadsCommandTest, InitiallyAllThatWereNegotiatedAreOn) {
  EXPECT_EQ(settings_.receive_offloads,
            FeatureSet::Of(kNetGuestCsum, kNetGuestTso4, kNetGuestTso6,
                           kNetGuestEcn, kNetGuestUso4, kNetGuestUso6));
}

TEST_F(OffloadsCommandTest, BitsReachTheBackendAndTheWorkers) {
  ASSERT_TRUE(Set(Bit(1) | Bit(7) | Bit(9) | Bit(55)));
  const FeatureSet expected =
      FeatureSet::Of(kNetGuestCsum, kNetGuestTso4, kNetGuestEcn, kNetGuestUso6);
  EXPECT_EQ(settings_.receive_offloads, expected);
  EXPECT_EQ(target_.offloads, expected);
  ASSERT_TRUE(Set(0));
  EXPECT_EQ(settings_.receive_offloads, FeatureSet());
}

TEST_F(OffloadsCommandTest, NeedsItsFeatureAndEightBytes) {
  ExpectExactDataAndFeature(kNetControlGuestOffloads,
                            kNetControlGuestOffloadsSet, Little64(Bit(1)),
                            kNetCtrlGuestOffloads);
  ExpectRefused(kNetControlGuestOffloads, 1, Little64(0));
}

// "A driver MUST NOT enable an offload for which the appropriate feature has
// not been negotiated."
TEST_F(OffloadsCommandTest, OffloadsThatWereNotNegotiatedAreRefused) {
  for (uint32_t bit = 0; bit < 64; ++bit) {
    const bool negotiated =
        bit < 64 && kReceiveOffloads.Has(bit) && features_.Has(bit);
    if (!negotiated) {
      ExpectRefused(kNetControlGuestOffloads, kNetControlGuestOffloadsSet,
                    Little64(Bit(1) | Bit(bit)));
    }
  }
  features_.Remove(kNetGuestUso4);
  ExpectRefused(kNetControlGuestOffloads, kNetControlGuestOffloadsSet,
                Little64(Bit(1) | Bit(54)));
}

TEST_F(OffloadsCommandTest, SegmentationWithoutChecksumIsRefused) {
  for (const uint32_t bit : {7, 8, 54, 55}) {
    ExpectRefused(kNetControlGuestOffloads, kNetControlGuestOffloadsSet,
                  Little64(Bit(bit)));
  }
}

TEST_F(OffloadsCommandTest, EcnAloneMeansNothing) {
  ASSERT_TRUE(Set(Bit(1) | Bit(9)));
  EXPECT_EQ(target_.offloads, FeatureSet::Of(kNetGuestCsum));
}

TEST_F(OffloadsCommandTest, BackendThatRefusesChangesNothing) {
  target_.refuses = true;
  const NetSettings before = settings_;
  EXPECT_FALSE(Set(0));
  EXPECT_TRUE(settings_ == before);
}

class CoalescingCommandsTest : public CommandFixture {
 protected:
  static FrameBytes Parameters(uint32_t max_packets, uint32_t max_usecs) {
    return Joined({Little32(max_packets), Little32(max_usecs)});
  }
  static FrameBytes Queue(uint16_t vq, uint16_t reserved = 0) {
    return Joined({Little16(vq), Little16(reserved)});
  }
  Coalescing Get(uint16_t vq) {
    const ControlReply reply =
        Execute(kNetControlCoal, kNetControlCoalVqGet, Queue(vq));
    EXPECT_TRUE(reply.ok);
    CommandData result(reply.result.bytes());
    const uint32_t max_packets = result.Take<uint32_t>();
    const uint32_t max_usecs = result.Take<uint32_t>();
    EXPECT_TRUE(result.Complete());
    return {.max_packets = max_packets, .max_usecs = max_usecs};
  }
};

// The example of §5.1.6.5.10, command by command.
TEST_F(CoalescingCommandsTest, LastParametersSetForAQueueApply) {
  ASSERT_TRUE(
      Succeeds(kNetControlCoal, kNetControlCoalRxSet, Parameters(1, 2)));
  EXPECT_EQ(Get(0), (Coalescing{1, 2}));
  EXPECT_EQ(Get(2), (Coalescing{1, 2}));
  EXPECT_EQ(Get(1), Coalescing());
  ASSERT_TRUE(Succeeds(kNetControlCoal, kNetControlCoalVqSet,
                       Joined({Queue(0), Parameters(3, 4)})));
  EXPECT_EQ(Get(2), (Coalescing{1, 2}));
  EXPECT_EQ(Get(0), (Coalescing{3, 4}));
  ASSERT_TRUE(Succeeds(kNetControlCoal, kNetControlCoalVqSet,
                       Joined({Queue(1), Parameters(5, 6)})));
  EXPECT_EQ(Get(1), (Coalescing{5, 6}));
  EXPECT_EQ(Get(3), Coalescing());
  ASSERT_TRUE(
      Succeeds(kNetControlCoal, kNetControlCoalTxSet, Parameters(7, 8)));
  EXPECT_EQ(Get(3), (Coalescing{7, 8}));
  EXPECT_EQ(Get(1), (Coalescing{7, 8}));
  EXPECT_EQ(Get(0), (Coalescing{3, 4}));
}

TEST_F(CoalescingCommandsTest, CommandsNeedTheirFeatureAndExactData) {
  for (const uint8_t command : {kNetControlCoalTxSet, kNetControlCoalRxSet}) {
    ExpectExactDataAndFeature(kNetControlCoal, command, Parameters(1, 2),
                              kNetNotfCoal);
  }
  ExpectExactDataAndFeature(kNetControlCoal, kNetControlCoalVqSet,
                            Joined({Queue(0), Parameters(1, 2)}),
                            kNetVqNotfCoal);
  ExpectExactDataAndFeature(kNetControlCoal, kNetControlCoalVqGet, Queue(0),
                            kNetVqNotfCoal);
  ExpectRefused(kNetControlCoal, 4, Parameters(1, 2));
}

// "MUST respond [...] with VIRTIO_NET_ERR if the designated virtqueue is not an
// enabled transmit or receive virtqueue."
TEST_F(CoalescingCommandsTest, QueueThatIsNotEnabledIsRefused) {
  target_.enabled = {0, 1};
  for (const uint16_t vq : {2, 8, 0xffff}) {
    ExpectRefused(kNetControlCoal, kNetControlCoalVqSet,
                  Joined({Queue(vq), Parameters(1, 2)}));
    ExpectRefused(kNetControlCoal, kNetControlCoalVqGet, Queue(vq));
  }
}

// "The device MUST ignore reserved."
TEST_F(CoalescingCommandsTest, ReservedFieldIsIgnored) {
  EXPECT_TRUE(Succeeds(kNetControlCoal, kNetControlCoalVqSet,
                       Joined({Queue(0, 0xffff), Parameters(1, 2)})));
  EXPECT_TRUE(
      Succeeds(kNetControlCoal, kNetControlCoalVqGet, Queue(0, 0xffff)));
}

class UnknownClassTest : public CommandFixture {};

TEST_F(UnknownClassTest, IsRefused) {
  for (int command_class = 7; command_class < 256; ++command_class) {
    if (command_class == header_split_.numbers.split_class ||
        command_class == header_split_.numbers.header_queue_class) {
      continue;
    }
    ExpectRefused(static_cast<uint8_t>(command_class), 0, {});
    ExpectRefused(static_cast<uint8_t>(command_class), 0, {1, 0, 0, 0});
  }
}

// A driver that negotiated nothing can do nothing.
TEST_F(UnknownClassTest, EveryClassIsUnknownWithoutFeatures) {
  features_ = FeatureSet::Of(kNetCtrlVq);
  for (const uint8_t command_class :
       {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0x81}) {
    for (uint8_t command = 0; command < 8; ++command) {
      for (const FrameBytes& data :
           {FrameBytes(), FrameBytes{1}, FrameBytes{1, 0}, FrameBytes(4),
            FrameBytes{2, 0, 0, 0, 0, 5}, FrameBytes(8), FrameBytes(12),
            RssBytes().Encode(), HashBytes(1)}) {
        ExpectRefused(command_class, command, data);
      }
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
