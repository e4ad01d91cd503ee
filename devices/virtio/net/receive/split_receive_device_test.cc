// Header-split receive of a whole card: commands while frames go round, queues
// that are stopped and started alone, and several queues.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <tuple>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_device_fixture.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

constexpr HeaderSplitNumbers kNumbers;
constexpr size_t kHead = 66;
constexpr size_t kPayload = 1000;

// As it comes back.
std::string Swapped(std::string frame) {
  const std::string destination = frame.substr(0, 6);
  frame.replace(0, 6, frame.substr(6, 6));
  frame.replace(6, 6, destination);
  return frame;
}

// Format, MRG_RXBUF.
class SplitDeviceTest : public NetDeviceTestBase,
                        public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  struct Arrived {
    std::string header;
    std::string bytes;  // Behind it, without method A's hold.
  };

  bool mergeable() const { return std::get<1>(GetParam()); }

  void StartCard(uint16_t pairs, bool header_queue) {
    header_split_.offered = true;
    Make(pairs);
    StartDriver(pairs, header_queue);
  }

  void StartDriver(uint16_t pairs, bool header_queue) {
    FeatureSet features =
        FeatureSet::Of(kFeatureVersion1, kFeatureIndirectDesc, kNetCtrlVq,
                       kNetGuestCsum, kNumbers.split_feature);
    if (std::get<0>(GetParam())) features.Add(kFeatureRingPacked);
    if (mergeable()) features.Add(kNetMrgRxbuf);
    if (header_queue) features.Add(kNumbers.header_queue_feature);
    if (pairs > 1) features.Add(kNetMq);
    if (steers_) features.Add(kNetRss);
    header_bytes_ = header_queue ? 20 : 12;
    control_ = static_cast<uint16_t>(2 * pairs);
    sent_.assign(pairs, {});
    number_ = 0;
    Start(features, static_cast<uint16_t>(control_ + 1));
    if (pairs == 1) return;
    ASSERT_TRUE(Do(kNetControlMq, kNetControlMqPairsSet, Little16(pairs)));
  }

  // Sends a command; returns whether it succeeded.
  bool Do(uint8_t command_class, uint8_t command, const FrameBytes& data) {
    const FrameBytes bytes = Joined({{command_class, command}, data});
    return Command(control_, std::string(bytes.begin(), bytes.end())) == 0;
  }
  bool SetTypes(uint64_t types) {
    return Do(kNumbers.split_class, kSplitSet, Little64(types));
  }
  bool Create(const HeaderArea& area) {
    const HeaderQueueConfig& config = area.config();
    return Do(kNumbers.header_queue_class, kHeaderQueueCreate,
              Joined({Little16(config.id), Little16(config.slot_bytes),
                      Little16(config.log_slots), Little16(0),
                      Little64(config.base.value()),
                      Little64(config.tail.value()), Little64(config.types),
                      Little32(config.threshold), Little32(0)}));
  }
  bool Attach(uint16_t pair, uint16_t id) {
    return Do(
        kNumbers.header_queue_class, kHeaderQueueAttach,
        Joined({Little16(static_cast<uint16_t>(2 * pair)), Little16(id)}));
  }

  // Makes buffers available as long as there is room.
  void Offer(uint16_t pair) {
    NetQueueSide& side = *sides_[2 * pair];
    while (side.driver.free_descriptors() > 8) {
      if (mergeable()) {
        (void)side.driver.Chain().Writable(256).Offer();
        (void)side.driver.Chain().Writable(2048).Offer();
      } else {
        (void)side.driver.Chain().Writable(128).Writable(2048).Offer();
      }
    }
    side.Notify();
  }

  void Send(uint16_t pair) { SendFlow(pair, pair, 1000); }

  // A frame that will come to pair `to`.
  void SendFlow(uint16_t pair, uint16_t to, uint16_t port) {
    NetQueueSide& side = *sides_[2 * pair + 1];
    const std::string frame = MakeFrame({.tcp_options = 12,
                                         .payload = kPayload,
                                         .port = port,
                                         .seed = ++number_});
    ASSERT_TRUE(side.driver.Chain()
                    .Readable(std::string(header_bytes_, '\0'))
                    .Readable(frame)
                    .Offer()
                    .has_value());
    side.Notify();
    (void)side.AwaitUsed();
    sent_[to].push_back(Swapped(frame));
  }

  // The next frame of those that were sent, checked as far as it can be with
  // its header elsewhere.
  Arrived Receive(uint16_t pair) {
    NetQueueSide& side = *sides_[2 * pair];
    FakeDriver::Used used = side.AwaitUsed();
    Arrived arrived = {.header = used.data.substr(0, header_bytes_),
                       .bytes = used.data.substr(header_bytes_)};
    if (Split(arrived) && !mergeable() && HasHeader(arrived)) {
      const size_t hold = 128 - header_bytes_ - kHead;
      EXPECT_EQ(arrived.bytes.substr(kHead, hold), std::string(hold, '\xee'));
      arrived.bytes.erase(kHead, hold);
    }
    for (int more = NumBuffersOf(arrived.header); more > 1; --more) {
      arrived.bytes += side.AwaitUsed().data;
    }
    return arrived;
  }

  static bool Split(const Arrived& arrived) {
    return FlagsOf(arrived.header) == 0x80;
  }
  // False: the header is in a slot.
  bool HasHeader(const Arrived& arrived) const {
    return header_bytes_ == 12 || Field16(arrived.header, 14) == 0;
  }
  uint16_t IndexOf(const Arrived& arrived) const {
    return Field16(arrived.header, 12);
  }

  // Of method A, B or unsplit.
  bool ReceiveWhole(uint16_t pair) {
    const Arrived arrived = Receive(pair);
    EXPECT_EQ(arrived.bytes, sent_[pair].front());
    sent_[pair].pop_front();
    return Split(arrived);
  }
  // Of method Q.
  bool ReceiveFromSlot(uint16_t pair, const HeaderArea& area) {
    const Arrived arrived = Receive(pair);
    const bool split = Split(arrived);
    if (split) {
      EXPECT_EQ(HdrLenOf(arrived.header), kHead);
      EXPECT_EQ(Field16(arrived.header, 14), area.config().id);
    }
    const std::string head =
        split ? area.Slot(IndexOf(arrived)).substr(0, kHead) : "";
    EXPECT_EQ(head + arrived.bytes, sent_[pair].front());
    sent_[pair].pop_front();
    last_index_ = IndexOf(arrived);
    return split;
  }

  uint32_t header_bytes_ = 12;
  uint16_t control_ = 2;
  bool steers_ = false;  // With RSS.
  uint32_t number_ = 0;
  uint16_t last_index_ = 0;
  std::vector<std::deque<std::string>> sent_;
};

// "A setting holds for packets processed after its ack", on and off, with
// frames under way.
TEST_P(SplitDeviceTest, SettingHoldsFromItsAckOn) {
  StartCard(1, false);
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Offer(0);
    const bool on = round % 2 == 0;
    for (int i = 0; i < 6; ++i) Send(0);
    ASSERT_TRUE(SetTypes(on ? kSplitAllTypes : kSplitUdp4));
    for (int i = 0; i < 3; ++i) Send(0);
    for (int i = 0; i < 6; ++i) (void)ReceiveWhole(0);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ReceiveWhole(0), on);
    if (HasFailure()) return;
  }
  ASSERT_TRUE(SetTypes(0));
  const uint64_t split = device_->counters(0).split.split_packets.value();
  for (int i = 0; i < 6; ++i) {
    Send(0);
    EXPECT_FALSE(ReceiveWhole(0));
  }
  EXPECT_EQ(device_->counters(0).split.split_packets.value(), split);
}

// The driver takes the memory back once a header queue is detached.
TEST_P(SplitDeviceTest, NoSlotIsWrittenAfterTheAckOfDetach) {
  StartCard(1, true);
  for (uint16_t round = 0; round < 150; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    HeaderArea area(memory_, {.id = 3, .log_slots = 5});
    area.SetTail(32);
    ASSERT_TRUE(Create(area));
    ASSERT_TRUE(Attach(0, 3));
    Offer(0);
    for (int i = 0; i < 2; ++i) {
      Send(0);
      EXPECT_TRUE(ReceiveFromSlot(0, area));
    }
    for (int i = 0; i < 8; ++i) Send(0);
    ASSERT_TRUE(Attach(0, kHeaderQueueNone));
    ASSERT_TRUE(
        Do(kNumbers.header_queue_class, kHeaderQueueDestroy, Little16(3)));
    // What was split before is still there.
    const std::string slots = area.All();
    memory_.Map(area.config().base, area.bytes())->Fill(0, area.bytes(), 0x11);
    for (int i = 0; i < 3; ++i) Send(0);
    for (int i = 0; i < 11; ++i) {
      const Arrived arrived = Receive(0);
      const bool split = Split(arrived);
      EXPECT_FALSE(split && i >= 8);
      const std::string head =
          split ? slots.substr(IndexOf(arrived) * size_t{128}, kHead) : "";
      EXPECT_EQ(head + arrived.bytes, sent_[0].front());
      sent_[0].pop_front();
    }
    ASSERT_EQ(area.All(), std::string(area.bytes(), '\x11'));
    if (HasFailure()) return;
  }
}

TEST_P(SplitDeviceTest, TwoQueuesShareAHeaderQueueWhileSettingsChange) {
  StartCard(2, true);
  HeaderArea area(memory_, {.id = 7, .log_slots = 6});
  area.SetTail(64);
  ASSERT_TRUE(Create(area));
  ASSERT_TRUE(Attach(0, 7));
  ASSERT_TRUE(Attach(1, 7));
  uint16_t split = 0;          // To slots.
  uint16_t split_by_type = 0;  // By the other class, while it is detached.
  for (int round = 0; round < 100; ++round) {
    for (const uint16_t pair : {0, 1}) Offer(pair);
    for (int i = 0; i < 4; ++i) {
      for (const uint16_t pair : {0, 1}) Send(pair);
    }
    // Of the other classes, while frames are under way.
    ASSERT_TRUE(SetTypes(round % 3 == 0 ? kSplitAllTypes : kSplitTcp6));
    if (round % 10 == 5) {
      ASSERT_TRUE(Attach(0, kHeaderQueueNone));
    }
    for (int i = 0; i < 4; ++i) {
      if (round % 10 == 5) {
        // By the types, or from a slot.
        const Arrived arrived = Receive(0);
        if (!HasHeader(arrived) && Split(arrived)) {
          ++split;
          EXPECT_EQ(
              area.Slot(IndexOf(arrived)).substr(0, kHead) + arrived.bytes,
              sent_[0].front());
        } else {
          if (Split(arrived)) ++split_by_type;
          EXPECT_EQ(arrived.bytes, sent_[0].front());
        }
        sent_[0].pop_front();
      } else if (ReceiveFromSlot(0, area)) {
        ++split;
      }
      if (ReceiveFromSlot(1, area)) ++split;
    }
    if (round % 10 == 5) {
      ASSERT_TRUE(Attach(0, 7));
    }
    // All have been read.
    area.SetTail(static_cast<uint16_t>(split + 64));
    if (HasFailure()) return;
  }
  EXPECT_GT(split, 700u);
  EXPECT_EQ(device_->counters(0).split.split_packets.value() +
                device_->counters(2).split.split_packets.value() -
                uint64_t{split} - uint64_t{split_by_type},
            0u);
}

// RSS: a worker reads frames of other receive queues to where its own would be
// split, and passes them on.
TEST_P(SplitDeviceTest, SteeredFramesAreSplitWhereTheyGo) {
  steers_ = true;
  for (const bool header_queue : {false, true}) {
    StartCard(2, header_queue);
    RssBytes bytes;
    bytes.mask = 1;
    bytes.table = Joined({Little16(0), Little16(1)});
    bytes.max_tx_vq = 2;
    ASSERT_TRUE(Do(kNetControlMq, kNetControlMqRssConfig, bytes.Encode()));
    const RssConfig rss = RssConfig::ParseRss(bytes.Encode(), 2).value();
    uint16_t ports[] = {1000, 1000};
    for (const uint16_t to : {0, 1}) {
      const auto pair_of = [&rss](uint16_t port) {
        const std::string frame = MakeFrame({.payload = 1, .port = port});
        return rss.QueuePair(rss.Hash(FrameBytes(frame.begin(), frame.end())));
      };
      while (pair_of(ports[to]) != to) ++ports[to];
    }
    HeaderArea area(memory_, {.id = 7, .log_slots = 6});
    area.SetTail(64);
    if (header_queue) {
      ASSERT_TRUE(Create(area));
      ASSERT_TRUE(Attach(0, 7));
      ASSERT_TRUE(Attach(1, 7));
    }
    ASSERT_TRUE(SetTypes(kSplitAllTypes));
    uint16_t taken = 0;
    for (int round = 0; round < 50; ++round) {
      SCOPED_TRACE(testing::Message() << "round " << round << header_queue);
      for (const uint16_t pair : {0, 1}) Offer(pair);
      for (int i = 0; i < 4; ++i) {
        for (const uint16_t to : {0, 1}) {
          SendFlow(0, to, ports[to]);
        }
      }
      for (int i = 0; i < 4; ++i) {
        for (const uint16_t pair : {0, 1}) {
          EXPECT_TRUE(header_queue ? ReceiveFromSlot(pair, area)
                                   : ReceiveWhole(pair));
          ++taken;
        }
      }
      area.SetTail(static_cast<uint16_t>(taken + 64));
      if (HasFailure()) return;
    }
    for (const uint16_t pair : {0, 1}) {
      const QueueCounters& counters =
          device_->counters(static_cast<uint16_t>(2 * pair));
      EXPECT_EQ(counters.split.split_packets.value(), 200u);
      EXPECT_EQ(counters.frames.value(), 200u);
    }
  }
}

// RING_RESET, as a provider of zero-copy memory does to change its buffers.
TEST_P(SplitDeviceTest, QueueThatIsStoppedAloneKeepsItsHeaderQueue) {
  StartCard(1, true);
  HeaderArea area(memory_, {.id = 7, .log_slots = 4});
  area.SetTail(16);
  ASSERT_TRUE(Create(area));
  ASSERT_TRUE(Attach(0, 7));
  uint16_t index = 0;
  int split = 0;
  for (int round = 0; round < 50; ++round) {
    Offer(0);
    for (int i = 0; i < 3; ++i) Send(0);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(ReceiveFromSlot(0, area));
      ASSERT_EQ(last_index_, index);
      ++index;
    }
    area.SetTail(static_cast<uint16_t>(index + 16));
    // Buffers are in the device's hands; a frame may be, too.
    const std::string slots = area.All();
    device_->StopQueue(0);
    Send(0);
    ASSERT_EQ(area.All(), slots);
    StartQueue(0);
    Offer(0);
    // It waited for the first buffers, which may have had no room for it split.
    if (ReceiveFromSlot(0, area)) {
      ASSERT_EQ(last_index_, index);
      ++index;
      ++split;
    }
    area.SetTail(static_cast<uint16_t>(index + 16));
  }
  EXPECT_NE(split, 0);
}

TEST_P(SplitDeviceTest, ResetForgetsSettingsAndHeaderQueues) {
  StartCard(1, true);
  HeaderArea area(memory_, {.id = 7});
  area.SetTail(16);
  ASSERT_TRUE(Create(area));
  ASSERT_FALSE(Create(area)) << "there is one";
  ASSERT_TRUE(Attach(0, 7));
  ASSERT_TRUE(SetTypes(kSplitAllTypes));
  Offer(0);
  Send(0);
  ASSERT_TRUE(ReceiveFromSlot(0, area));
  for (const bool header_queue : {true, false}) {
    device_->Reset();
    const std::string slots = area.All();
    StartDriver(1, header_queue);
    Offer(0);
    for (int i = 0; i < 5; ++i) {
      Send(0);
      EXPECT_FALSE(ReceiveWhole(0));
    }
    EXPECT_FALSE(Attach(0, 7));
    EXPECT_EQ(area.All(), slots);
  }
  // The class of what was not negotiated.
  EXPECT_FALSE(Create(area));
}

INSTANTIATE_TEST_SUITE_P(All, SplitDeviceTest,
                         testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)
                                                  ? "packed"
                                                  : "split") +
                                  (std::get<1>(info.param) ? "_mergeable" : "");
                         });

}  // namespace
}  // namespace annulus::virtio
