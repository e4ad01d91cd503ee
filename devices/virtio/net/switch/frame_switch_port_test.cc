#include "devices/virtio/net/switch/frame_switch_port.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

const std::string kA = {0x52, 0x54, 0, 0, 0, 0xa};
const std::string kB = {0x52, 0x54, 0, 0, 0, 0xb};
const std::string kC = {0x52, 0x54, 0, 0, 0, 0xc};
const std::string kBroadcast(6, '\xff');
const std::string kMulticast = {1, 0, 0x5e, 0, 0, 1};

std::string Frame(const std::string& to, const std::string& from,
                  const std::string& text) {
  return to + from + "\x88\xb5" + text;
}

// A card with its driver, which sends and receives when it is told to.
class Card {
 public:
  explicit Card(std::shared_ptr<FrameSwitch> frame_switch, uint16_t pairs = 1)
      : port_(FrameSwitchPort::Create(std::move(frame_switch), pairs).value()) {
  }

  TransferStatus Send(std::string frame, const NetHeader& header = {},
                      uint16_t pair = 0) {
    const TransferStatus status = Keep(std::move(frame), header, pair);
    port_->queue(pair).Flush();
    return status;
  }

  TransferStatus Keep(std::string frame, const NetHeader& header = {},
                      uint16_t pair = 0) {
    std::array<uint8_t, kNetHeaderBytes> bytes;
    EncodeNetHeader(header, absl::MakeSpan(bytes));
    // In pieces, as from a guest.
    const size_t first = std::min<size_t>(9, frame.size());
    std::vector<iovec> vectors = {{bytes.data(), bytes.size()},
                                  {frame.data(), first}};
    if (frame.size() > first) {
      vectors.push_back({frame.data() + first, frame.size() - first});
    }
    return port_->queue(pair)
        .Send(vectors, static_cast<uint32_t>(kNetHeaderBytes + frame.size()))
        .status;
  }

  // The next frame, or nothing; its header is in `header`.
  std::string Receive(uint16_t pair = 0) {
    std::array<uint8_t, kNetHeaderBytes> bytes;
    std::string frame(kNetMaxFrameBytes, '\0');
    const std::array<iovec, 2> vectors = {iovec{bytes.data(), bytes.size()},
                                          iovec{frame.data(), frame.size()}};
    const Transfer transfer = port_->queue(pair).Receive(vectors);
    if (transfer.status != TransferStatus::kDone) return "";
    header = DecodeNetHeader(bytes);
    frame.resize(transfer.bytes - kNetHeaderBytes);
    return frame;
  }

  bool Wakes() {
    pollfd fd = {port_->queue(0).readable_fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  }

  void Want(const FeatureSet& offloads) {
    EXPECT_TRUE(port_->SetReceiveOffloads(offloads).ok());
  }

  const SwitchCounters& counters() { return port_->queue(0).counters(); }
  FrameSwitchPort& port() { return *port_; }

  NetHeader header;

 private:
  std::unique_ptr<FrameSwitchPort> port_;
};

class SwitchPortTest : public testing::Test {
 protected:
  // So that everyone is known.
  void Introduce() {
    a_.Send(Frame(kBroadcast, kA, "I"));
    b_.Send(Frame(kBroadcast, kB, "I"));
    c_.Send(Frame(kBroadcast, kC, "I"));
    for (Card* card : {&a_, &b_, &c_}) {
      while (!card->Receive().empty()) {
      }
    }
  }

  std::shared_ptr<FrameSwitch> switch_ = FrameSwitch::Create("lan").value();
  Card a_{switch_};
  Card b_{switch_};
  Card c_{switch_};
};

TEST_F(SwitchPortTest, UnknownDestinationIsFloodedAndNotSentBack) {
  const std::string frame = Frame(kB, kA, "where are you?");
  EXPECT_EQ(a_.Send(frame), TransferStatus::kDone);
  EXPECT_EQ(b_.Receive(), frame);
  EXPECT_EQ(c_.Receive(), frame);
  EXPECT_EQ(a_.Receive(), "");
  EXPECT_EQ(b_.Receive(), "") << "once";
  EXPECT_EQ(a_.counters().flooded.value(), 1u);
}

TEST_F(SwitchPortTest, UnicastGoesWhereItsDestinationWasSeen) {
  Introduce();
  const std::string frame = Frame(kB, kA, "hello");
  EXPECT_EQ(a_.Send(frame), TransferStatus::kDone);
  EXPECT_EQ(b_.Receive(), frame);
  EXPECT_EQ(c_.Receive(), "");
  EXPECT_EQ(a_.counters().forwarded.value(), 1u);
}

TEST_F(SwitchPortTest, GroupAddressesAreFlooded) {
  Introduce();
  for (const std::string& group : {kBroadcast, kMulticast}) {
    const std::string frame = Frame(group, kA, "all");
    a_.Send(frame);
    EXPECT_EQ(b_.Receive(), frame);
    EXPECT_EQ(c_.Receive(), frame);
    EXPECT_EQ(a_.Receive(), "");
  }
}

TEST_F(SwitchPortTest, GroupAddressIsNeverLearned) {
  Introduce();
  a_.Send(Frame(kB, kMulticast, "from nobody"));
  EXPECT_NE(b_.Receive(), "");
  const auto now =
      static_cast<uint32_t>(MonotonicNanoseconds() / 1'000'000'000);
  EXPECT_TRUE(switch_->addresses().Find(0x52540000000a, now).has_value());
  EXPECT_FALSE(switch_->addresses().Find(0x01005e000001, now).has_value());
  b_.Send(Frame(kMulticast, kB, "all"));
  EXPECT_NE(a_.Receive(), "");
  EXPECT_NE(c_.Receive(), "");
}

TEST_F(SwitchPortTest, AddressThatMovesIsFollowed) {
  Introduce();
  c_.Send(Frame(kBroadcast, kB, "B is here now"));
  EXPECT_NE(a_.Receive(), "");
  EXPECT_NE(b_.Receive(), "");
  a_.Send(Frame(kB, kA, "hello"));
  EXPECT_EQ(b_.Receive(), "");
  EXPECT_NE(c_.Receive(), "");
}

TEST_F(SwitchPortTest, FrameToAnAddressOfItsOwnPortGoesNowhere) {
  Introduce();
  a_.Send(Frame(kBroadcast, kC + "", "C is behind A"));
  (void)b_.Receive();
  (void)c_.Receive();
  EXPECT_EQ(a_.Send(Frame(kC, kA, "hello")), TransferStatus::kDone);
  EXPECT_EQ(a_.Receive(), "");
  EXPECT_EQ(b_.Receive(), "");
  EXPECT_EQ(c_.Receive(), "");
  EXPECT_EQ(a_.counters().filtered.value(), 1u);
}

TEST_F(SwitchPortTest, WhatIsNoFrameIsDropped) {
  EXPECT_EQ(a_.Send("short"), TransferStatus::kDropped);
  EXPECT_EQ(a_.Send(std::string(13, 'x')), TransferStatus::kDropped);
  EXPECT_EQ(a_.Send(std::string(kNetMaxFrameBytes + 1, 'x')),
            TransferStatus::kDropped);
  EXPECT_EQ(a_.Send(Frame(kBroadcast, kA, "")), TransferStatus::kDone);
  const std::string largest =
      Frame(kBroadcast, kA, std::string(kNetMaxFrameBytes - 14, 'x'));
  EXPECT_EQ(a_.Send(largest), TransferStatus::kDone);
  EXPECT_EQ(b_.Receive(), Frame(kBroadcast, kA, ""));
  EXPECT_EQ(b_.Receive(), largest);
}

TEST_F(SwitchPortTest, FramesOfABatchWakeTheirReceiverTogether) {
  Introduce();
  EXPECT_FALSE(b_.Wakes());
  for (int i = 0; i < 10; ++i) a_.Keep(Frame(kB, kA, std::to_string(i)));
  EXPECT_FALSE(b_.Wakes());
  a_.port().queue(0).Flush();
  EXPECT_TRUE(b_.Wakes());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(b_.Receive(), Frame(kB, kA, std::to_string(i)));
  }
  EXPECT_EQ(b_.Receive(), "");
  EXPECT_FALSE(b_.Wakes());
}

// A receiver that stands still costs its own frames, and nobody else's.
TEST_F(SwitchPortTest, FullReceiverLosesFramesAndHoldsUpNobody) {
  Introduce();
  const std::string frame = Frame(kB, kA, std::string(60'000, 'x'));
  int taken = 0;
  while (a_.Send(frame) == TransferStatus::kDone) ++taken;
  EXPECT_GE(taken, 16);
  EXPECT_EQ(a_.counters().full.value(), 1u);
  EXPECT_EQ(a_.Send(Frame(kC, kA, "C")), TransferStatus::kDone);
  EXPECT_EQ(c_.Receive(), Frame(kC, kA, "C"));
  // Nor does it keep others from being heard.
  EXPECT_EQ(c_.Send(Frame(kB, kC, "B")), TransferStatus::kDone);
  int lost = taken;
  bool heard = false;
  for (std::string next; !(next = b_.Receive()).empty();) {
    heard |= next == Frame(kB, kC, "B");
    lost -= next == frame;
  }
  EXPECT_EQ(lost, 0);
  EXPECT_TRUE(heard);
  EXPECT_EQ(a_.Send(frame), TransferStatus::kDone);
}

TEST_F(SwitchPortTest, PortsComeAndGo) {
  Introduce();
  {
    Card d(switch_);
    d.Send(Frame(kBroadcast, kB, "B is here now"));
    (void)b_.Receive();
    (void)c_.Receive();
    (void)a_.Receive();
    a_.Send(Frame(kB, kA, "hello"));
    EXPECT_NE(d.Receive(), "");
    EXPECT_EQ(b_.Receive(), "");
    a_.Send(Frame(kB, kA, "never received"));
  }
  a_.Send(Frame(kB, kA, "hello"));
  EXPECT_NE(b_.Receive(), "") << "flooded again";
  // Who takes the place gets nothing that was another's.
  std::vector<std::unique_ptr<Card>> cards;
  for (size_t i = 3; i < FrameSwitch::kMaxSlots; ++i) {
    cards.push_back(std::make_unique<Card>(switch_));
    EXPECT_EQ(cards.back()->Receive(), "");
  }
  EXPECT_EQ(FrameSwitchPort::Create(switch_, 1).status().message(),
            "switch lan: 63 of 63 queue pairs are in use, and a port is to "
            "have 1");
  a_.Send(Frame(kBroadcast, kA, "all"));
  for (const auto& card : cards) EXPECT_NE(card->Receive(), "");
}

TEST_F(SwitchPortTest, PortThatTakesAPlaceIsHeardByThoseWhoWereThere) {
  for (int round = 0; round < 200; ++round) {
    Card d(switch_, static_cast<uint16_t>(1 + round % 3));
    ASSERT_EQ(d.Receive(), "");
    ASSERT_EQ(d.Send(Frame(kBroadcast, kC, std::to_string(round))),
              TransferStatus::kDone);
    ASSERT_EQ(a_.Receive(), Frame(kBroadcast, kC, std::to_string(round)));
    ASSERT_EQ(b_.Receive(), Frame(kBroadcast, kC, std::to_string(round)));
    a_.Send(Frame(kC, kA, "left behind"));
  }
}

TEST_F(SwitchPortTest, QueuePairsMeetThoseOfTheirIndex) {
  Card d(switch_, 4);
  Card e(switch_, 2);
  ASSERT_TRUE(d.port().SetActivePairs(4).ok());
  ASSERT_TRUE(e.port().SetActivePairs(2).ok());
  const std::string frame = Frame(kMulticast, kC, "to a queue");
  for (uint16_t pair = 0; pair < 4; ++pair) {
    d.Send(frame, {}, pair);
    EXPECT_EQ(e.Receive(pair % 2), frame);
    EXPECT_EQ(e.Receive(1 - pair % 2), "");
    EXPECT_EQ(a_.Receive(), frame);
  }
  e.Send(frame, {}, 1);
  EXPECT_EQ(d.Receive(1), frame);
  ASSERT_TRUE(d.port().SetActivePairs(1).ok());
  e.Send(frame, {}, 1);
  EXPECT_EQ(d.Receive(0), frame);
}

// TCP over IPv4, of which the checksum is begun, with two segments of data.
std::string TcpFrame(const std::string& to, const std::string& from) {
  std::string frame = to + from + std::string("\x08\x00\x45\x00", 4);
  frame += std::string("\x07\xf8\x00\x01\x00\x00\x40\x06\x00\x00", 10);
  frame += std::string("\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
  frame += std::string("\x00\x50\x00\x51\x00\x00\x00\x00\x00\x00\x00\x00", 12);
  // 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + 2020: the pseudo header's sum.
  frame += std::string("\x50\x18\x00\x00\x1b\xed\x00\x00", 8);
  return frame + std::string(2000, 'd');
}

constexpr NetHeader kTso = {.flags = kNetHeaderNeedsCsum,
                            .gso_type = kNetGsoTcpv4,
                            .hdr_len = 54,
                            .gso_size = 1000,
                            .csum_start = 34,
                            .csum_offset = 16};
constexpr NetHeader kChecksum = {
    .flags = kNetHeaderNeedsCsum, .csum_start = 34, .csum_offset = 16};

// Virtio 1.4 §5.1.6.4: none of what was not negotiated.
TEST_F(SwitchPortTest, OffloadsReachADriverThatTakesThem) {
  Introduce();
  b_.Want(FeatureSet::Of(kNetGuestCsum, kNetGuestTso4));
  const std::string frame = TcpFrame(kB, kA);
  for (const NetHeader& header : {kTso, kChecksum}) {
    EXPECT_EQ(a_.Send(frame, header), TransferStatus::kDone);
    EXPECT_EQ(b_.Receive(), frame);
    EXPECT_EQ(b_.header, header);
  }
  EXPECT_EQ(a_.counters().completed.value(), 0u);
}

TEST_F(SwitchPortTest, ChecksumIsMadeForADriverWithoutTheOffload) {
  Introduce();
  EXPECT_EQ(a_.Send(TcpFrame(kB, kA), kChecksum), TransferStatus::kDone);
  const std::string received = b_.Receive();
  ASSERT_EQ(received.size(), TcpFrame(kB, kA).size());
  EXPECT_EQ(b_.header, NetHeader());
  // That of "ports, 0x5018, 2000 times 'd'" and the pseudo header.
  uint32_t sum = 0x1bed + 0x50 + 0x51 + 0x5018 + 1000 * 0x6464;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  EXPECT_EQ(static_cast<uint8_t>(received[50]), ~sum >> 8 & 0xff);
  EXPECT_EQ(static_cast<uint8_t>(received[51]), ~sum & 0xff);
}

TEST_F(SwitchPortTest, FrameIsCutUpForADriverWithoutTheOffload) {
  Introduce();
  for (const FeatureSet& wanted :
       {FeatureSet(), FeatureSet::Of(kNetGuestCsum),
        FeatureSet::Of(kNetGuestCsum, kNetGuestTso6)}) {
    b_.Want(wanted);
    EXPECT_EQ(a_.Send(TcpFrame(kB, kA), kTso), TransferStatus::kDone);
    for (int i = 0; i < 2; ++i) {
      const std::string segment = b_.Receive();
      EXPECT_EQ(segment.size(), 54u + 1000);
      EXPECT_EQ(b_.header, NetHeader());
    }
    EXPECT_EQ(b_.Receive(), "");
  }
}

// Each gets it as it can take it.
TEST_F(SwitchPortTest, FloodedFrameIsCutUpForSome) {
  b_.Want(FeatureSet::Of(kNetGuestCsum, kNetGuestTso4));
  EXPECT_EQ(a_.Send(TcpFrame(kB, kA), kTso), TransferStatus::kDone);
  EXPECT_EQ(b_.Receive().size(), 54u + 2000);
  EXPECT_EQ(c_.Receive().size(), 54u + 1000);
}

TEST_F(SwitchPortTest, FrameThatCannotBeCutUpIsDroppedAndCounted) {
  Introduce();
  EXPECT_EQ(a_.Send(Frame(kB, kA, std::string(2000, 'x')), kTso),
            TransferStatus::kDropped);
  NetHeader bytes = kTso;
  bytes.gso_size = 1;
  EXPECT_EQ(a_.Send(TcpFrame(kB, kA), bytes), TransferStatus::kDropped);
  NetHeader outside = kChecksum;
  outside.csum_start = 0xfff0;
  EXPECT_EQ(a_.Send(TcpFrame(kB, kA), outside), TransferStatus::kDropped);
  EXPECT_EQ(a_.counters().unusable.value(), 3u);
  EXPECT_EQ(b_.Receive(), "");
}

TEST_F(SwitchPortTest, OffersNoOffloadThatItCannotTakeBack) {
  EXPECT_TRUE(a_.port().offloads().Has(kNetHostTso4));
  EXPECT_TRUE(a_.port().offloads().Has(kNetGuestUso6));
  EXPECT_FALSE(a_.port().offloads().Has(kNetHostUfo));
  EXPECT_FALSE(a_.port().offloads().Has(kNetGuestUfo));
}

// What the port may send at once, and what it receives at once.
class SwitchPlainTest : public SwitchPortTest {
 protected:
  uint32_t SendPlain(std::vector<std::string> frames) {
    std::vector<iovec> vectors;
    for (std::string& frame : frames) {
      vectors.push_back({frame.data(), frame.size()});
    }
    const uint32_t sent = a_.port().queue(0).SendPlain(vectors);
    a_.port().queue(0).Flush();
    return sent;
  }

  std::vector<std::string> CopyPlain(Card& card) {
    std::vector<std::string> rooms(64, std::string(200, '\0'));
    std::vector<iovec> vectors;
    for (std::string& room : rooms) {
      vectors.push_back({room.data(), room.size()});
    }
    std::array<uint32_t, 64> bytes;
    const uint32_t count =
        card.port().queue(0).CopyPlain(vectors, absl::MakeSpan(bytes));
    if (count != 0) card.port().queue(0).TakeCopied();
    rooms.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
      rooms[i] = rooms[i].substr(kNetHeaderBytes, bytes[i] - kNetHeaderBytes);
    }
    return rooms;
  }
};

TEST_F(SwitchPlainTest, FramesAtOnceReachTheirReceiversInOrder) {
  Introduce();
  const std::vector<std::string> frames = {
      Frame(kB, kA, "1"), Frame(kB, kA, "2"), Frame(kC, kA, "3"),
      Frame(kB, kA, "4")};
  EXPECT_EQ(SendPlain(frames), 4u);
  EXPECT_EQ(CopyPlain(b_),
            (std::vector<std::string>{frames[0], frames[1], frames[3]}));
  EXPECT_EQ(c_.Receive(), frames[2]);
  EXPECT_TRUE(CopyPlain(b_).empty());
  EXPECT_EQ(a_.counters().forwarded.value(), 4u);
}

TEST_F(SwitchPlainTest, WhoIsNotOneReceiverIsLeftToSend) {
  Introduce();
  const std::string known = Frame(kB, kA, "1");
  for (const std::string& other :
       {Frame(kBroadcast, kA, "2"), Frame(kMulticast, kA, "2"),
        Frame(kA, kA, "2"), Frame("\x52\x54stay", kA, "2"),
        known.substr(0, 13)}) {
    EXPECT_EQ(SendPlain({known, other, known}), 1u);
    EXPECT_EQ(SendPlain({other}), 0u);
  }
  EXPECT_EQ(CopyPlain(b_).size(), 5u);
  EXPECT_EQ(c_.Receive(), "");
}

TEST_F(SwitchPlainTest, FullReceiverTakesAsManyAsHaveRoom) {
  Introduce();
  const std::string frame = Frame(kB, kA, std::string(60, 'x'));
  uint32_t sent = 0;
  uint32_t last;
  while ((last = SendPlain(std::vector<std::string>(64, frame))) == 64) {
    sent += last;
  }
  sent += last;
  EXPECT_EQ(a_.Send(frame), TransferStatus::kDropped);
  EXPECT_EQ(a_.counters().full.value(), 1u);
  uint32_t received = 0;
  for (std::vector<std::string> some; !(some = CopyPlain(b_)).empty();) {
    received += static_cast<uint32_t>(some.size());
  }
  EXPECT_EQ(received, sent);
}

// A sender's run ends, however its frames are received.
TEST_F(SwitchPlainTest, SendersTakeTurnsWithWhatIsReceivedAtOnce) {
  Introduce();
  const std::string from_a = Frame(kB, kA, "a");
  const std::string from_c = Frame(kB, kC, "c");
  EXPECT_EQ(SendPlain(std::vector<std::string>(64, from_a)), 64u);
  EXPECT_EQ(c_.Send(from_c), TransferStatus::kDone);
  std::vector<std::string> all;
  for (std::vector<std::string> some; !(some = CopyPlain(b_)).empty();) {
    EXPECT_LE(some.size(), SwitchInbox::kMaxRun);
    all.insert(all.end(), some.begin(), some.end());
  }
  ASSERT_EQ(all.size(), 65u);
  // Whose turn it was at first is of no matter.
  EXPECT_LE(std::find(all.begin(), all.end(), from_c) - all.begin(),
            SwitchInbox::kMaxRun);
}
}  // namespace
}  // namespace annulus::virtio
