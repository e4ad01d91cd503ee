#include "devices/virtio/driver/vsock_endpoint.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_driver_fixture.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/spec/vsock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kGuest = 3;
constexpr uint32_t kListens = 1234;
constexpr uint32_t kWindow = 4096;

// Notes what it is told of; keeps what was received without consuming it.
struct Program {
  bool Accepts(const VsockHeader& request) {
    return request.dst_port == kListens;
  }
  void Connected(VsockConnection& connection) {
    log += "connected ";
    last = &connection;
  }
  void Data(VsockConnection&, const uint8_t* data, uint32_t bytes) {
    received.insert(received.end(), data, data + bytes);
  }
  void Received(VsockConnection&, const VsockHeader& header) {
    if ((header.flags & kVsockSeqEom) != 0) log += "message ";
  }
  void Credit(VsockConnection&) { log += "credit "; }
  void Shutdown(VsockConnection& connection) {
    log += "shutdown" + std::to_string(connection.peer_shutdown) + " ";
  }
  void Closed(VsockConnection&) { log += "closed "; }

  std::string log;
  std::vector<uint8_t> received;
  VsockConnection* last = nullptr;
};

// What the host sends on its one connection.
VsockHeader FromHost(uint16_t op, uint32_t flags = 0) {
  return {.src_cid = kVsockHostCid,
          .dst_cid = kGuest,
          .src_port = 99,
          .dst_port = kListens,
          .type = kVsockTypeStream,
          .op = op,
          .flags = flags,
          .buf_alloc = 1000};
}

template <typename Kind>
class VsockEndpointTest : public testing::Test {
 protected:
  using Guest = VsockTestGuest<Kind, Program>;

  auto& endpoint() { return guest_.endpoint(); }

  void Deliver(const VsockHeader& header,
               const std::vector<uint8_t>& payload = {}) {
    ASSERT_TRUE(guest_.Deliver(header, payload));
    endpoint().Poll(100);
  }
  // The op of what was sent next; kVsockOpInvalid: nothing.
  uint16_t Sent() {
    const auto sent = guest_.TakeSent();
    last_sent_ = sent.has_value() ? sent->header : VsockHeader{};
    return last_sent_.op;
  }
  VsockConnection& Accepted(uint16_t type = kVsockTypeStream) {
    VsockHeader request = FromHost(kVsockOpRequest);
    request.type = type;
    Deliver(request);
    EXPECT_EQ(Sent(), kVsockOpResponse);
    EXPECT_EQ(program_.log, "connected ");
    program_.log.clear();
    return *program_.last;
  }

  Program program_;
  Guest guest_{kGuest, {}, kWindow, program_};
  VsockHeader last_sent_;
};

using Kinds = testing::Types<VsockPacked, VsockPackedInOrder, VsockSplit,
                             VsockSplitInOrder>;
TYPED_TEST_SUITE(VsockEndpointTest, Kinds);

TYPED_TEST(VsockEndpointTest, AcceptsWhereSomebodyListens) {
  this->Deliver(FromHost(kVsockOpRequest));
  EXPECT_EQ(this->Sent(), kVsockOpResponse);
  const VsockHeader& response = this->last_sent_;
  EXPECT_EQ(response.src_cid, kGuest);
  EXPECT_EQ(response.dst_cid, kVsockHostCid);
  EXPECT_EQ(response.src_port, kListens);
  EXPECT_EQ(response.dst_port, 99u);
  EXPECT_EQ(response.type, kVsockTypeStream);
  EXPECT_EQ(response.buf_alloc, kWindow);
  EXPECT_EQ(this->endpoint().connections().used(), 1u);
}

TYPED_TEST(VsockEndpointTest, RefusesWhereNobodyDoes) {
  VsockHeader request = FromHost(kVsockOpRequest);
  request.dst_port = 1;
  this->Deliver(request);
  EXPECT_EQ(this->Sent(), kVsockOpRst);
  EXPECT_EQ(this->last_sent_.src_port, 1u);
  EXPECT_EQ(this->last_sent_.dst_port, 99u);
  EXPECT_EQ(this->program_.log, "");
}

TYPED_TEST(VsockEndpointTest, RefusesUnknownTypes) {
  for (const uint16_t type : {0, 3, 0xffff}) {
    VsockHeader request = FromHost(kVsockOpRequest);
    request.type = type;
    this->Deliver(request);
    EXPECT_EQ(this->Sent(), kVsockOpRst);
    EXPECT_EQ(this->last_sent_.type, type);
  }
}

TYPED_TEST(VsockEndpointTest, AnswersAllOfNoConnectionButResets) {
  for (uint16_t op = 0; op < 9; ++op) {
    if (op == kVsockOpRequest) continue;
    this->Deliver(FromHost(op));
    EXPECT_EQ(this->Sent(), op == kVsockOpRst ? kVsockOpInvalid : kVsockOpRst);
  }
}

TYPED_TEST(VsockEndpointTest, RefusesWhatTheTableHasNoRoomFor) {
  VsockHeader request = FromHost(kVsockOpRequest);
  for (uint32_t i = 0; i < 8; ++i, ++request.src_port) {
    this->Deliver(request);
    EXPECT_EQ(this->Sent(), kVsockOpResponse);
  }
  this->Deliver(request);
  EXPECT_EQ(this->Sent(), kVsockOpRst);
  EXPECT_EQ(this->endpoint().Connect(kVsockTypeStream, 2, 5), nullptr);
  VsockHeader reset = FromHost(kVsockOpRst);
  this->Deliver(reset);
  this->Deliver(request);
  EXPECT_EQ(this->Sent(), kVsockOpResponse);
}

TYPED_TEST(VsockEndpointTest, ConnectsOnceThereIsAResponse) {
  VsockConnection* const connection =
      this->endpoint().Connect(kVsockTypeStream, kVsockHostCid, 77);
  ASSERT_NE(connection, nullptr);
  ASSERT_EQ(this->Sent(), kVsockOpRequest);
  EXPECT_EQ(this->last_sent_.dst_port, 77u);
  EXPECT_EQ(this->last_sent_.buf_alloc, kWindow);
  uint32_t bytes = 0;
  EXPECT_EQ(this->endpoint().Room(*connection, 1, &bytes), nullptr);
  VsockHeader response = FromHost(kVsockOpResponse);
  response.src_port = 77;
  response.dst_port = this->last_sent_.src_port;
  this->Deliver(response);
  EXPECT_EQ(this->program_.log, "connected ");
  EXPECT_NE(this->endpoint().Room(*connection, 5000, &bytes), nullptr);
  EXPECT_EQ(bytes, 512u);  // Of one packet.
}

TYPED_TEST(VsockEndpointTest, NothingMayComeBeforeTheResponse) {
  for (const uint16_t op :
       {kVsockOpRw, kVsockOpCreditRequest, kVsockOpShutdown}) {
    this->program_.log.clear();
    this->endpoint().Connect(kVsockTypeStream, kVsockHostCid, 77);
    ASSERT_EQ(this->Sent(), kVsockOpRequest);
    VsockHeader header = FromHost(op);
    header.src_port = 77;
    header.dst_port = this->last_sent_.src_port;
    this->Deliver(header);
    EXPECT_EQ(this->Sent(), kVsockOpRst);
    EXPECT_EQ(this->program_.log, "closed ");
    EXPECT_EQ(this->endpoint().connections().used(), 0u);
  }
}

TYPED_TEST(VsockEndpointTest, SendsNoMoreThanItsCredit) {
  VsockConnection& connection = this->Accepted();  // Of 1000 bytes.
  uint32_t bytes = 0;
  ASSERT_NE(this->endpoint().Room(connection, 2000, &bytes), nullptr);
  EXPECT_EQ(bytes, 512u);
  this->endpoint().Send(connection, bytes);
  ASSERT_NE(this->endpoint().Room(connection, 2000, &bytes), nullptr);
  EXPECT_EQ(bytes, 488u);
  this->endpoint().Send(connection, bytes);
  EXPECT_EQ(this->endpoint().Room(connection, 1, &bytes), nullptr);
  EXPECT_EQ(this->Sent(), kVsockOpRw);
  EXPECT_EQ(this->Sent(), kVsockOpRw);
  VsockHeader update = FromHost(kVsockOpCreditUpdate);
  this->Deliver(update);
  EXPECT_EQ(this->program_.log, "");
  update.fwd_cnt = 1000;
  this->Deliver(update);
  EXPECT_EQ(this->program_.log, "credit ");
  this->Deliver(update);
  EXPECT_EQ(this->program_.log, "credit ");  // Nobody waits any more.
}

TYPED_TEST(VsockEndpointTest, DataBeyondCreditEndsTheConnection) {
  VsockConnection& connection = this->Accepted();
  for (int i = 0; i < 20; ++i) {
    this->Deliver(FromHost(kVsockOpRw), NumberedBytes(200));
  }
  EXPECT_EQ(this->program_.received.size(), 4000u);
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
  this->endpoint().Consumed(connection, 3);
  this->Deliver(FromHost(kVsockOpRw), NumberedBytes(99));
  this->Deliver(FromHost(kVsockOpRw), NumberedBytes(1));
  this->program_.log.clear();
  while (this->Sent() == kVsockOpCreditUpdate) continue;
  EXPECT_EQ(this->last_sent_.op, kVsockOpRst);
  EXPECT_EQ(this->program_.received.size(), 4099u);
  EXPECT_EQ(this->endpoint().connections().used(), 0u);
}

TYPED_TEST(VsockEndpointTest, CreditIsReportedWhenAllIsRead) {
  VsockConnection& connection = this->Accepted();
  this->Deliver(FromHost(kVsockOpRw), NumberedBytes(200));
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
  this->endpoint().Consumed(connection, 200);
  this->endpoint().Poll(1);
  EXPECT_EQ(this->Sent(), kVsockOpCreditUpdate);
  EXPECT_EQ(this->last_sent_.fwd_cnt, 200u);
  EXPECT_EQ(this->last_sent_.buf_alloc, kWindow);
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
}

TYPED_TEST(VsockEndpointTest, CreditRequestIsAlwaysAnswered) {
  this->Accepted();
  for (int i = 0; i < 3; ++i) {
    this->Deliver(FromHost(kVsockOpCreditRequest));
    EXPECT_EQ(this->Sent(), kVsockOpCreditUpdate);
  }
}

TYPED_TEST(VsockEndpointTest, CreditIsReportedAfterEachMessage) {
  VsockConnection& connection = this->Accepted(kVsockTypeSeqpacket);
  VsockHeader header = FromHost(kVsockOpRw);
  header.type = kVsockTypeSeqpacket;
  this->Deliver(header, NumberedBytes(100));
  EXPECT_EQ(this->program_.log, "");
  header.flags = kVsockSeqEom;
  this->Deliver(header);  // Of 0 bytes.
  EXPECT_EQ(this->program_.log, "message ");
  EXPECT_EQ(this->Sent(), kVsockOpCreditUpdate);
  EXPECT_EQ(connection.receive.unread(), 100u);
}

TYPED_TEST(VsockEndpointTest, AnEmptyMessageCanBeSentWithoutCredit) {
  VsockConnection& connection = this->Accepted(kVsockTypeSeqpacket);
  connection.send = VsockSendCredit();
  uint32_t bytes = 1;
  ASSERT_NE(this->endpoint().Room(connection, 0, &bytes), nullptr);
  this->endpoint().Send(connection, bytes, kVsockSeqEom | kVsockSeqEor);
  EXPECT_EQ(this->Sent(), kVsockOpRw);
  EXPECT_EQ(this->last_sent_.len, 0u);
  EXPECT_EQ(this->last_sent_.flags, kVsockSeqEom | kVsockSeqEor);
}

TYPED_TEST(VsockEndpointTest, PeersShutdownOfBothIsAnsweredWithReset) {
  VsockConnection& connection = this->Accepted();
  this->Deliver(FromHost(kVsockOpShutdown, kVsockShutdownSend));
  EXPECT_EQ(this->program_.log, "shutdown2 ");
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
  uint32_t bytes = 0;
  EXPECT_NE(this->endpoint().Room(connection, 1, &bytes), nullptr);
  // Flags add up.
  this->Deliver(FromHost(kVsockOpShutdown, kVsockShutdownReceive));
  EXPECT_EQ(this->program_.log, "shutdown2 shutdown3 closed ");
  EXPECT_EQ(this->Sent(), kVsockOpRst);
}

TYPED_TEST(VsockEndpointTest, NothingIsSentToWhoReceivesNoMore) {
  VsockConnection& connection = this->Accepted();
  this->Deliver(FromHost(kVsockOpShutdown, kVsockShutdownReceive));
  uint32_t bytes = 0;
  EXPECT_EQ(this->endpoint().Room(connection, 1, &bytes), nullptr);
}

TYPED_TEST(VsockEndpointTest, OwnShutdownEndsWithThePeersReset) {
  VsockConnection& connection = this->Accepted();
  ASSERT_TRUE(this->endpoint().Shutdown(connection, kVsockShutdownSend));
  EXPECT_EQ(this->Sent(), kVsockOpShutdown);
  EXPECT_EQ(this->last_sent_.flags, kVsockShutdownSend);
  uint32_t bytes = 0;
  EXPECT_EQ(this->endpoint().Room(connection, 1, &bytes), nullptr);
  this->Deliver(FromHost(kVsockOpRw), NumberedBytes(5));
  EXPECT_EQ(this->program_.received.size(), 5u);
  ASSERT_TRUE(this->endpoint().Shutdown(connection, kVsockShutdownReceive));
  EXPECT_EQ(this->Sent(), kVsockOpShutdown);
  EXPECT_EQ(this->last_sent_.flags, kVsockShutdownBoth);
  this->Deliver(FromHost(kVsockOpRw), NumberedBytes(5));  // Too late.
  EXPECT_EQ(this->program_.received.size(), 5u);
  EXPECT_EQ(this->program_.log, "");
  this->Deliver(FromHost(kVsockOpRst));
  EXPECT_EQ(this->program_.log, "closed ");
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
}

TYPED_TEST(VsockEndpointTest, ProtocolErrorsEndTheConnection) {
  for (const uint16_t op :
       {kVsockOpInvalid, kVsockOpRequest, kVsockOpResponse, uint16_t{8}}) {
    this->program_.log.clear();
    this->Accepted();
    this->Deliver(FromHost(op));
    EXPECT_EQ(this->Sent(), kVsockOpRst);
    EXPECT_EQ(this->program_.log, "closed ");
  }
  this->program_.log.clear();
  this->Accepted();
  VsockHeader header = FromHost(kVsockOpRw);
  header.type = kVsockTypeSeqpacket;
  this->Deliver(header);
  EXPECT_EQ(this->Sent(), kVsockOpRst);
}

TYPED_TEST(VsockEndpointTest, TakesNoPacketThatItCouldNotAnswer) {
  // Nobody takes what is sent: 16 answers have room.
  for (int i = 0; i < 24; ++i) {
    ASSERT_TRUE(this->guest_.Deliver(FromHost(kVsockOpRw)));
  }
  EXPECT_TRUE(this->endpoint().Poll(100));
  EXPECT_FALSE(this->endpoint().Poll(100));
  for (int i = 0; i < 16; ++i) EXPECT_EQ(this->Sent(), kVsockOpRst);
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
  EXPECT_TRUE(this->endpoint().Poll(100));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(this->Sent(), kVsockOpRst);
}

TYPED_TEST(VsockEndpointTest, DataLeavesRoomForAnswers) {
  VsockConnection& connection = this->Accepted();
  uint32_t bytes = 0;
  while (this->endpoint().Room(connection, 1, &bytes) != nullptr) {
    this->endpoint().Send(connection, bytes);
  }
  EXPECT_EQ(this->guest_.transmitter().free_packets(), 2u);
  // It is not credit that lacks, whatever there was before.
  EXPECT_FALSE(connection.wants_credit);
  connection.wants_credit = true;
  EXPECT_EQ(this->endpoint().Room(connection, 5000, &bytes), nullptr);
  EXPECT_FALSE(connection.wants_credit);
  EXPECT_TRUE(this->endpoint().RequestCredit(connection));
  EXPECT_FALSE(this->endpoint().RequestCredit(connection));
  EXPECT_EQ(this->guest_.transmitter().free_packets(), 1u);
}

TYPED_TEST(VsockEndpointTest, PacketsForOthersAreIgnored) {
  VsockHeader header = FromHost(kVsockOpRequest);
  header.dst_cid = 4;
  this->Deliver(header);
  EXPECT_EQ(this->Sent(), kVsockOpInvalid);
}

// Keeps all that it receives.
struct Talker {
  bool Accepts(const VsockHeader&) { return true; }
  void Connected(VsockConnection& connection) {
    connections.push_back(&connection);
  }
  void Data(VsockConnection& connection, const uint8_t* data, uint32_t bytes) {
    auto& all = received[&connection];
    all.insert(all.end(), data, data + bytes);
  }
  void Received(VsockConnection&, const VsockHeader&) {}
  void Credit(VsockConnection&) {}
  void Shutdown(VsockConnection&) {}
  void Closed(VsockConnection&) { ++closed; }

  std::vector<VsockConnection*> connections;
  std::map<VsockConnection*, std::vector<uint8_t>> received;
  std::map<VsockConnection*, size_t> sent;
  int closed = 0;
};

// Two endpoints, and a device between them that hands packets over; in any
// order of who does what, all bytes arrive once and in order.
template <typename Kind>
class VsockEndpointsTest : public testing::Test {
 protected:
  using Guest = VsockTestGuest<Kind, Talker>;

  // One packet from `from` to `to`, if there is one, and room.
  void Move(Guest& from, Guest& to,
            std::deque<typename Guest::Sent>& under_way) {
    if (auto sent = from.TakeSent(); sent.has_value()) {
      under_way.push_back(*std::move(sent));
    }
    if (under_way.empty()) return;
    if (to.Deliver(under_way.front().header, under_way.front().payload)) {
      under_way.pop_front();
    }
  }
  void SendSome(Guest& guest, Talker& talker, uint32_t most) {
    for (VsockConnection* connection : talker.connections) {
      size_t& sent = talker.sent[connection];
      uint32_t bytes = 0;
      const uint32_t wanted =
          static_cast<uint32_t>(std::min<size_t>(most, kTotal - sent));
      if (wanted == 0) continue;
      uint8_t* const room = guest.endpoint().Room(*connection, wanted, &bytes);
      if (room == nullptr) continue;
      std::copy_n(all_.begin() + static_cast<ptrdiff_t>(sent), bytes, room);
      guest.endpoint().Send(*connection, bytes);
      sent += bytes;
    }
  }
  void ConsumeSome(Guest& guest, Talker& talker, uint32_t most) {
    for (VsockConnection* connection : talker.connections) {
      const uint32_t unread = connection->receive.unread();
      guest.endpoint().Consumed(*connection, std::min(most, unread));
    }
  }

  static constexpr size_t kTotal = 20000;
  const std::vector<uint8_t> all_ = NumberedBytes(kTotal);
};

TYPED_TEST_SUITE(VsockEndpointsTest, Kinds);

TYPED_TEST(VsockEndpointsTest, AllBytesArriveInAnyInterleaving) {
  constexpr size_t kTotal = TestFixture::kTotal;
  for (uint32_t seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    Talker talkers[2];
    const VsockSideOptions options = {
        .mergeable = seed % 2 == 0,
        .buffer_bytes = seed % 2 == 0 ? 100u + seed : 600u};
    std::unique_ptr<VsockTestGuest<TypeParam, Talker>> guests[2];
    for (uint64_t i = 0; i < 2; ++i) {
      guests[i] = std::make_unique<VsockTestGuest<TypeParam, Talker>>(
          kGuest + i, options, 1000 + seed * 100, talkers[i]);
    }
    std::deque<typename TestFixture::Guest::Sent> under_way[2];
    ASSERT_NE(guests[0]->endpoint().Connect(kVsockTypeStream, kGuest + 1, 1),
              nullptr);
    ASSERT_NE(guests[1]->endpoint().Connect(kVsockTypeStream, kGuest, 2),
              nullptr);
    const auto done = [&] {
      for (Talker& talker : talkers) {
        if (talker.connections.size() != 2) return false;
        for (VsockConnection* connection : talker.connections) {
          if (talker.received[connection].size() != kTotal) return false;
        }
      }
      return true;
    };
    int steps = 0;
    for (; !done() && steps < 100000; ++steps) {
      const uint32_t who = random() % 2;
      switch (random() % 4) {
        case 0:
          this->Move(*guests[who], *guests[1 - who], under_way[who]);
          break;
        case 1:
          guests[who]->endpoint().Poll(1 + random() % 8);
          break;
        case 2:
          this->SendSome(*guests[who], talkers[who], 1 + random() % 700);
          break;
        default:
          this->ConsumeSome(*guests[who], talkers[who], random() % 1000);
          break;
      }
      ASSERT_FALSE(guests[who]->endpoint().broken());
    }
    EXPECT_TRUE(done()) << "seed " << seed;
    for (Talker& talker : talkers) {
      EXPECT_EQ(talker.closed, 0);
      for (VsockConnection* connection : talker.connections) {
        EXPECT_EQ(talker.received[connection], this->all_);
      }
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
