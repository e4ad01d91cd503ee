// Receive-side scaling with the workers of a whole card: frames of many flows,
// sent by any queue, and where they come out.

#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_device_fixture.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kPairs = 4;
constexpr uint16_t kControl = 2 * kPairs;
constexpr uint32_t kFlows = 64;
// Of each transmitq; a window that all rings and buffers have room for, also
// if all that is under way goes to one receiveq.
constexpr uint32_t kUnderWay = 8;

// Ends in the flow's number and the frame's in its flow.
std::string FrameOf(uint16_t flow, uint32_t number) {
  const FrameBytes frame = Ethernet(
      kTypeIpv4, Ipv4({10, 0, 0, 1}, {10, 0, 0, 2}, kTypeUdp,
                      Joined({Ports(static_cast<uint16_t>(5000 + flow), 9),
                              FrameBytes(number % 300), Little16(flow),
                              Little32(number)})));
  return std::string(frame.begin(), frame.end());
}

class NetSteeringTest : public NetDeviceTestBase,
                        public testing::TestWithParam<bool> {
 protected:
  NetSteeringTest() {
    Make(kPairs);
    FeatureSet features = FeatureSet::Of(kFeatureVersion1, kFeatureEventIdx,
                                         kNetCtrlVq, kNetMq, kNetRss);
    if (GetParam()) features.Add(kFeatureRingPacked);
    Start(features, kControl + 1);
    for (uint16_t pair = 0; pair < kPairs; ++pair) Refill(pair);
  }

  NetQueueSide& receive(uint16_t pair) { return *sides_[2 * pair]; }
  NetQueueSide& transmit(uint16_t pair) { return *sides_[2 * pair + 1]; }

  void SetTable(const std::vector<uint16_t>& table) {
    RssBytes bytes;
    bytes.table.clear();
    for (const uint16_t pair : table) {
      bytes.table = Joined({bytes.table, Little16(pair)});
    }
    bytes.mask = static_cast<uint16_t>(table.size() - 1);
    const FrameBytes data = bytes.Encode();
    ASSERT_EQ(Command(kControl, std::string("\x04\x01", 2) +
                                    std::string(data.begin(), data.end())),
              kNetControlOk);
    rss_ = RssConfig::ParseRss(data, kPairs).value();
  }

  uint16_t PairOf(uint16_t flow) {
    const std::string frame = FrameOf(flow, 0);
    return rss_.QueuePair(rss_.Hash(FrameBytes(frame.begin(), frame.end())));
  }

  void Refill(uint16_t pair) {
    while (receive(pair).driver.Chain().Writable(600).Offer().has_value()) {
    }
    receive(pair).Notify();
  }

  // A flow has its transmitq, as it has with a driver that hashes sockets.
  void Send(uint16_t flow, uint32_t number) {
    NetQueueSide& side = transmit(static_cast<uint16_t>(flow / 3 % kPairs));
    while (side.driver.GetUsed().has_value()) {
    }
    ASSERT_TRUE(side.driver.Chain()
                    .Readable(std::string(kNetHeaderBytes, '\0') +
                              FrameOf(flow, number))
                    .Offer()
                    .has_value());
    side.Notify();
  }

  // Takes what any receiveq has, at least one frame, and checks each.
  void Collect(uint64_t& seen) {
    for (const uint64_t before = seen; seen == before;) {
      for (uint16_t pair = 0; pair < kPairs; ++pair) {
        while (std::optional<FakeDriver::Used> used =
                   receive(pair).driver.GetUsed()) {
          Check(pair, *used);
          ++seen;
        }
        if (seen != before) Refill(pair);
      }
      if (seen == before) AwaitAny();
      if (testing::Test::HasFatalFailure()) return;
    }
  }

  void Check(uint16_t pair, const FakeDriver::Used& used) {
    ASSERT_GE(used.len, kNetHeaderBytes + 14 + 6);
    const auto byte = [&used](size_t from_end) {
      return uint32_t{static_cast<uint8_t>(used.data[used.len - from_end])};
    };
    const uint16_t flow = static_cast<uint16_t>(byte(6) | byte(5) << 8);
    const uint32_t number =
        byte(4) | byte(3) << 8 | byte(2) << 16 | byte(1) << 24;
    ASSERT_LT(flow, kFlows);
    ASSERT_EQ(pair, PairOf(flow)) << "flow " << flow;
    ASSERT_EQ(number, expected_[flow]++) << "flow " << flow;
    std::string frame = FrameOf(flow, number);
    for (int i = 0; i < 6; ++i) std::swap(frame[i], frame[6 + i]);
    ASSERT_EQ(used.data.substr(kNetHeaderBytes), frame);
  }

  // Until a receiveq has interrupted.
  void AwaitAny() {
    std::array<pollfd, kPairs> fds;
    bool ready = false;
    for (uint16_t pair = 0; pair < kPairs; ++pair) {
      fds[pair] = {receive(pair).interrupt.event.fd(), POLLIN, 0};
      ready |= receive(pair).driver.EnableCallbacks();
    }
    if (!ready) {
      ASSERT_GT(::poll(fds.data(), fds.size(), -1), 0);
    }
    for (uint16_t pair = 0; pair < kPairs; ++pair) {
      (void)receive(pair).interrupt.event.Drain();
      receive(pair).driver.DisableCallbacks();
    }
  }

  // Frames of all flows, all of which arrive.
  void Exchange(uint32_t rounds) {
    uint64_t sent = 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < rounds; ++i) {
      for (uint16_t flow = 0; flow < kFlows; ++flow) {
        Send(flow, next_[flow]++);
        ++sent;
        while (sent - seen > kUnderWay) {
          Collect(seen);
          if (HasFatalFailure()) return;
        }
      }
    }
    while (seen < sent) {
      Collect(seen);
      if (HasFatalFailure()) return;
    }
  }

  RssConfig rss_;
  std::array<uint32_t, kFlows> next_ = {};      // To be sent.
  std::array<uint32_t, kFlows> expected_ = {};  // To be received.
};

TEST_P(NetSteeringTest, FlowsComeOutOfTheQueuesThatTheTableNames) {
  SetTable({0, 1, 2, 3, 3, 2, 1, 0});
  Exchange(40);
  for (uint16_t pair = 0; pair < kPairs; ++pair) {
    const QueueCounters& counters = device_->counters(2 * pair);
    EXPECT_GT(counters.frames.value(), 0u) << "the flows hit all queues";
    for (const auto& drops : counters.drops) EXPECT_EQ(drops.value(), 0u);
  }
}

TEST_P(NetSteeringTest, TablesChangeWhileTheCardRuns) {
  const std::vector<std::vector<uint16_t>> tables = {
      {0, 1, 2, 3}, {3}, {1, 2}, {2, 0, 3, 1, 1, 1, 0, 0}, {0}};
  for (int i = 0; i < 20; ++i) {
    SetTable(tables[i % tables.size()]);
    Exchange(2);
    ASSERT_FALSE(HasFatalFailure());
  }
}

// A queue that is reset loses its own flows and no others.
TEST_P(NetSteeringTest, FlowsOfAQueueThatDoesNotRunAreDroppedAlone) {
  SetTable({0, 1, 2, 3});
  uint16_t lost = 0;  // A flow of pair 2 that comes in by another.
  while (PairOf(lost) != 2 || lost / 3 % kPairs == 2) ++lost;
  uint16_t kept = 0;
  while (PairOf(kept) == 2 || kept / 3 % kPairs == 2) ++kept;
  device_->StopQueue(4);
  const QueueCounters& counters =
      device_->counters(static_cast<uint16_t>(2 * (lost / 3 % kPairs)));
  const auto& drops = counters.drops[static_cast<size_t>(NetDrop::kSteering)];
  for (uint64_t i = 1; i <= 20; ++i) {
    Send(lost, 0xffffffff);  // No number that is ever expected.
    while (drops.value() < i) {
    }
    Send(kept, next_[kept]++);
    uint64_t seen = 0;
    Collect(seen);
    ASSERT_FALSE(HasFatalFailure());
  }
  StartQueue(4);
  Refill(2);
  Exchange(2);
}

INSTANTIATE_TEST_SUITE_P(All, NetSteeringTest, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "packed" : "split";
                         });

}  // namespace
}  // namespace annulus::virtio
