#include "devices/virtio/net/steering/steered_queue.h"

#include <poll.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/steering_inboxes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kPairs = 4;

// A header and a UDP frame of one of many flows.
std::string Flow(uint16_t port, size_t payload = 20) {
  const FrameBytes frame = Ethernet(
      kTypeIpv4, Ipv4({10, 0, 0, 1}, {10, 0, 0, 2}, kTypeUdp,
                      Joined({Ports(port, 9), FrameBytes(payload, 0x5a)})));
  return std::string(kNetHeaderBytes, '\0') +
         std::string(frame.begin(), frame.end());
}

bool Readable(int fd) {
  pollfd poll_fd = {fd, POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

// The backend's descriptors here are none, so that the inbox's is all there is.
class SilentBackend final : public NetBackendQueue {
 public:
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    return scripted.Send(frame, bytes);
  }
  Transfer Receive(absl::Span<const iovec> room) override {
    return scripted.Receive(room);
  }
  int readable_fd() const override { return -1; }
  int writable_fd() const override { return scripted.writable_fd(); }

  ScriptedBackend scripted;
};

class SteeredQueueTest : public testing::Test {
 protected:
  SteeredQueueTest() {
    SetTable({0, 1, 2, 3});
    for (uint16_t i = 0; i < kPairs; ++i) {
      queues_.push_back(SteeredQueue::Create(backends_[i], i, settings_,
                                             *inboxes_, counters_[i])
                            .value());
      queues_[i]->Start();
    }
  }

  void SetTable(const std::vector<uint16_t>& table) {
    RssBytes bytes;
    bytes.table.clear();
    for (const uint16_t pair : table) {
      bytes.table = Joined({bytes.table, Little16(pair)});
    }
    bytes.mask = static_cast<uint16_t>(table.size() - 1);
    NetSettings settings;
    settings.rss = RssConfig::ParseRss(bytes.Encode(), kPairs).value();
    settings_.Publish(settings);
  }

  // The pair that the table has for such a frame.
  uint16_t PairOf(const std::string& frame) {
    const FrameBytes bytes(frame.begin() + kNetHeaderBytes, frame.end());
    const RssConfig& rss = settings_.Current()->rss;
    return rss.QueuePair(rss.Hash(bytes));
  }

  // Some flow of that pair.
  uint16_t PortFor(uint16_t pair) {
    uint16_t port = 1000;
    while (PairOf(Flow(port)) != pair) ++port;
    return port;
  }

  // What pair i receives next; sets status_.
  std::string Receive(uint16_t i) {
    std::string header(kNetHeaderBytes, '\0');
    std::string first(33, '\0');
    std::string rest(kNetMaxFrameBytes, '\0');
    const iovec room[] = {{header.data(), header.size()},
                          {first.data(), first.size()},
                          {rest.data(), rest.size()}};
    const Transfer transfer = queues_[i]->Receive(room);
    status_ = transfer.status;
    return (header + first + rest).substr(0, transfer.bytes);
  }

  uint64_t Lost(uint16_t i) {
    return counters_[i].drops[static_cast<size_t>(NetDrop::kSteering)].value();
  }

  NetSettingsStore settings_;
  std::unique_ptr<SteeringInboxes> inboxes_ =
      SteeringInboxes::Create(kPairs).value();
  SilentBackend backends_[kPairs];
  QueueCounters counters_[kPairs];
  std::vector<std::unique_ptr<SteeredQueue>> queues_;
  TransferStatus status_ = TransferStatus::kDone;
};

TEST_F(SteeredQueueTest, FrameGoesWhereTheTableSays) {
  for (uint16_t pair = 0; pair < kPairs; ++pair) {
    const std::string frame = Flow(PortFor(pair));
    backends_[1].scripted.to_receive.push_back(frame);
    if (pair != 1) {
      EXPECT_EQ(Receive(1), "");
      EXPECT_EQ(status_, TransferStatus::kAgain);
    }
    EXPECT_EQ(Receive(pair), frame);
  }
}

// As header split reads: the first bytes to other memory than the rest. The
// flow is found all the same, and a frame for another pair arrives there whole.
TEST_F(SteeredQueueTest, FrameFillsItsVectorsInTheirOrder) {
  for (const size_t aside_bytes : {1ul, 13ul, 42ul, 66ul, 500ul}) {
    for (const uint16_t pair : {uint16_t{1}, uint16_t{2}}) {
      const std::string frame = Flow(PortFor(pair), 200);
      backends_[1].scripted.to_receive = {frame};
      for (const uint16_t receiver : {uint16_t{1}, uint16_t{2}}) {
        std::string header(kNetHeaderBytes, '\xee');
        std::string aside(aside_bytes, '\xee');
        std::string page(20, '\xee');
        std::string overflow(kNetMaxFrameBytes, '\xee');
        const iovec room[] = {{header.data(), header.size()},
                              {aside.data(), aside.size()},
                              {page.data(), page.size()},
                              {overflow.data(), overflow.size()}};
        const Transfer transfer = queues_[receiver]->Receive(room);
        if (receiver != pair) {
          EXPECT_EQ(transfer.status, TransferStatus::kAgain);
          continue;
        }
        EXPECT_EQ(transfer.status, TransferStatus::kDone);
        ASSERT_EQ(transfer.bytes, frame.size());
        const std::string all = header + aside + page + overflow;
        EXPECT_EQ(all.substr(0, frame.size()), frame);
        EXPECT_EQ(all[frame.size()], '\xee') << "more was written";
      }
    }
  }
}

// Virtio 1.4 §5.1.6.5.7: "unclassified_queue".
TEST_F(SteeredQueueTest, FrameWithoutAHashGoesToTheUnclassifiedQueue) {
  RssBytes bytes;
  bytes.unclassified = 3;
  NetSettings settings;
  settings.rss = RssConfig::ParseRss(bytes.Encode(), kPairs).value();
  settings_.Publish(settings);
  const std::string arp = std::string(kNetHeaderBytes, '\0') +
                          std::string(12, '\x02') + "\x08\x06" + "arp";
  backends_[0].scripted.to_receive.push_back(arp);
  EXPECT_EQ(Receive(0), "");
  EXPECT_EQ(Receive(3), arp);
}

TEST_F(SteeredQueueTest, WithoutATableFramesStayWhereTheyCameIn) {
  const std::string frame = Flow(PortFor(2));
  settings_.Publish({});
  backends_[0].scripted.to_receive.push_back(frame);
  EXPECT_EQ(Receive(0), frame);
}

// What was left for us before the table went away is still received.
TEST_F(SteeredQueueTest, InboxIsEmptiedAfterTheTableHasGone) {
  const std::string frame = Flow(PortFor(2));
  backends_[0].scripted.to_receive.push_back(frame);
  EXPECT_EQ(Receive(0), "");
  settings_.Publish({});
  EXPECT_EQ(Receive(2), frame);
}

TEST_F(SteeredQueueTest, SleeperIsWokenByAFrameInItsInbox) {
  EXPECT_EQ(Receive(2), "");
  EXPECT_FALSE(Readable(queues_[2]->readable_fd()));
  backends_[0].scripted.to_receive.push_back(Flow(PortFor(2)));
  EXPECT_EQ(Receive(0), "");
  EXPECT_TRUE(Readable(queues_[2]->readable_fd()));
  EXPECT_NE(Receive(2), "");
  EXPECT_EQ(Receive(2), "");
  EXPECT_FALSE(Readable(queues_[2]->readable_fd()));
}

// The work of a call is bounded, and what is left is not forgotten: the
// backend's own descriptor need not be readable for it.
TEST_F(SteeredQueueTest, LongRunOfFramesForOthersEndsInAWaitThatIsOverAtOnce) {
  const std::string others = Flow(PortFor(2));
  const std::string own = Flow(PortFor(0));
  for (int i = 0; i < 100; ++i) {
    backends_[0].scripted.to_receive.push_back(others);
  }
  backends_[0].scripted.to_receive.push_back(own);
  for (int moved = 0; moved + SteeredQueue::kMaxMoved <= 100;
       moved += SteeredQueue::kMaxMoved) {
    EXPECT_EQ(Receive(0), "");
    EXPECT_EQ(status_, TransferStatus::kAgain);
    EXPECT_TRUE(Readable(queues_[0]->readable_fd()));
  }
  EXPECT_EQ(Receive(0), own);
  EXPECT_EQ(Receive(0), "");
  EXPECT_FALSE(Readable(queues_[0]->readable_fd()));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Receive(2), others);
  EXPECT_EQ(Receive(2), "");
}

TEST_F(SteeredQueueTest, FullInboxDropsAndTheGiverCounts) {
  const std::string frame = Flow(PortFor(2), 60000);
  for (int i = 0; i < 30; ++i) {
    backends_[0].scripted.to_receive.push_back(frame);
  }
  EXPECT_EQ(Receive(0), "");
  EXPECT_TRUE(backends_[0].scripted.to_receive.empty());
  uint64_t arrived = 0;
  while (Receive(2) == frame) ++arrived;
  EXPECT_GT(arrived, 0u);
  EXPECT_GT(Lost(0), 0u);
  EXPECT_EQ(arrived + Lost(0), 30u);
  EXPECT_EQ(Lost(2), 0u);
}

// "If the destination receive queue is being reset, the device MUST drop the
// packet."
TEST_F(SteeredQueueTest, FrameForAQueueThatDoesNotRunIsDropped) {
  backends_[0].scripted.to_receive = {Flow(PortFor(2))};
  EXPECT_EQ(Receive(0), "");  // It is too late for this one.
  queues_[2]->Stop();
  backends_[0].scripted.to_receive = {Flow(PortFor(2)), Flow(PortFor(3))};
  EXPECT_EQ(Receive(0), "");
  EXPECT_EQ(Lost(0), 1u);
  EXPECT_NE(Receive(3), "");
  queues_[2]->Start();
  EXPECT_EQ(Receive(2), "") << "of before it was stopped";
  backends_[0].scripted.to_receive = {Flow(PortFor(2))};
  EXPECT_EQ(Receive(0), "");
  EXPECT_NE(Receive(2), "");
}

TEST_F(SteeredQueueTest, FullInboxDoesNotShutTheBackendOut) {
  const std::string left = Flow(PortFor(2), 30);
  const std::string own = Flow(PortFor(2), 31);
  for (int i = 0; i < 30; ++i) backends_[0].scripted.to_receive.push_back(left);
  EXPECT_EQ(Receive(0), "");
  backends_[2].scripted.to_receive = {own};
  int before = 0;
  while (Receive(2) == left) ++before;
  EXPECT_EQ(before, SteeredQueue::kMaxInboxRun);
  for (; before < 30; ++before) EXPECT_EQ(Receive(2), left);
  EXPECT_EQ(Receive(2), "");
}

TEST_F(SteeredQueueTest, TableChangesWithTheNextFrame) {
  const std::string frame = Flow(PortFor(1));
  backends_[0].scripted.to_receive = {frame};
  EXPECT_EQ(Receive(0), "");
  SetTable({3});
  backends_[0].scripted.to_receive = {frame};
  EXPECT_EQ(Receive(0), "");
  EXPECT_EQ(Receive(1), frame);
  EXPECT_EQ(Receive(1), "");
  EXPECT_EQ(Receive(3), frame);
}

TEST_F(SteeredQueueTest, WhatIsNoFrameIsLeftToTheReceiver) {
  for (const size_t bytes : {0, 5, 11, 12, 13, 25}) {
    backends_[0].scripted.to_receive = {std::string(bytes, '\0')};
    const std::string got = Receive(0);
    EXPECT_EQ(status_, TransferStatus::kDone);
    EXPECT_EQ(got.size(), bytes);
  }
}

TEST_F(SteeredQueueTest, BackendThatFailsSaysSo) {
  for (const TransferStatus status :
       {TransferStatus::kDropped, TransferStatus::kGone}) {
    backends_[0].scripted.failures = {status};
    EXPECT_EQ(Receive(0), "");
    EXPECT_EQ(status_, status);
  }
}

TEST_F(SteeredQueueTest, SendingGoesStraightThrough) {
  std::string header(kNetHeaderBytes, '\0');
  std::string frame(60, '\x07');
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), frame.size()}};
  EXPECT_EQ(queues_[1]->Send(vectors, 72).status, TransferStatus::kDone);
  EXPECT_EQ(backends_[1].scripted.sent.size(), 1u);
  EXPECT_EQ(queues_[1]->writable_fd(), backends_[1].writable_fd());
}

}  // namespace
}  // namespace annulus::virtio
