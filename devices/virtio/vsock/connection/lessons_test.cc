// What others learned the hard way about socket devices, one test each. Numbers
// are those of the list of reports, "facts 3.9".

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class LessonsTest : public MuxerFixture {
 protected:
  static PacketHeader Credit(uint32_t fwd_cnt,
                             uint32_t buf_alloc = kGuestBufAlloc) {
    PacketHeader header = Header(kVsockOpCreditUpdate);
    header.fwd_cnt = fwd_cnt;
    header.buf_alloc = buf_alloc;
    return header;
  }
  static PacketHeader Shutdown(uint32_t flags) {
    PacketHeader header = Header(kVsockOpShutdown);
    header.flags = flags;
    return header;
  }
  uint64_t Resets(VsockReset reason) const {
    const auto index = static_cast<size_t>(reason);
    return rx_.resets[index].value() + tx_.resets[index].value();
  }

  // The host's program reads nothing, until the guest's window is used up.
  // Returns what was sent.
  std::string FillWindow(size_t piece_bytes = 32768) {
    std::string sent;
    uint32_t forwarded = 0;
    while (sent.size() - forwarded + piece_bytes <= options_.buf_alloc) {
      const std::string piece(piece_bytes,
                              static_cast<char>('a' + sent.size() / 7 % 26));
      Send(Header(kVsockOpRw), piece);
      sent += piece;
      for (SentPacket packet = Next(); packet.header.op != 0; packet = Next()) {
        EXPECT_EQ(packet.header.op, kVsockOpCreditUpdate);
        forwarded = packet.header.fwd_cnt;
      }
    }
    return sent;
  }

  std::string ReadAll(const UniqueFd& fd, size_t bytes) {
    std::string received;
    while (received.size() < bytes) {
      const std::string piece = Read(fd);
      if (piece == "<EAGAIN>" || piece == "<EOF>") break;
      received += piece;
      Run();
    }
    return received;
  }
};

// #2: a write that took a part of several pieces was repeated or lost.
TEST_F(LessonsTest, PayloadInManyPiecesIsExactWhereTheSocketTakesAPart) {
  const UniqueFd host = ConnectFromGuest();
  std::string all;
  std::mt19937 random(1);
  while (all.size() < options_.buf_alloc) {
    std::string bytes(20'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    std::vector<ChainElement> elements;
    for (size_t at = 0; at < bytes.size(); at += 499) {
      elements.push_back({.span = memory::GuestSpan(
                              reinterpret_cast<uint8_t*>(bytes.data()) + at,
                              std::min<size_t>(499, bytes.size() - at)),
                          .address = memory::GuestAddress(0)});
    }
    PacketHeader header = Header(kVsockOpRw);
    header.len = static_cast<uint32_t>(bytes.size());
    muxer_->PacketFromGuest(header, PacketPayload(elements, 0, bytes.size()));
    all += bytes;
  }
  EXPECT_TRUE(ReadAll(host, all.size()) == all);
}

// #4, #5: "not now" taken for an error.
TEST_F(LessonsTest, SocketWithNothingToReadIsNoError) {
  const UniqueFd host = ConnectFromGuest();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Write(host, "x"));
    EXPECT_EQ(Next().payload, "x");
    EXPECT_EQ(Next().header.op, 0);
  }
  EXPECT_EQ(muxer_->connections(), 1u);
}

// #6: what did not fit was dropped, or never sent later.
TEST_F(LessonsTest, WhatDidNotFitIsSentWhenTheHostReads) {
  const UniqueFd host = ConnectFromGuest();
  const std::string sent = FillWindow();
  EXPECT_GT(sent.size(), options_.buf_alloc);
  EXPECT_TRUE(Sleeps());
  const std::string piece = Read(host);
  EXPECT_FALSE(Sleeps());
  Run();
  EXPECT_TRUE(piece + ReadAll(host, sent.size() - piece.size()) == sent);
  // The guest knows that all of its window is free.
  SentPacket last;
  while (!sink_.empty()) last = sink_.Take();
  EXPECT_GE(last.header.fwd_cnt + options_.buf_alloc / 2, sent.size());
}

// #6, #8: a guest that is blocked is told as soon as there is any room.
TEST_F(LessonsTest, BlockedGuestIsToldOfRoom) {
  const UniqueFd host = ConnectFromGuest();
  FillWindow(4096);
  std::string piece;
  while (Next().header.op == 0) {
    piece = Read(host, 65536);
    ASSERT_NE(piece, "<EAGAIN>");
  }
}

// #8: a CREDIT_REQUEST has to be answered, whatever else goes on.
TEST_F(LessonsTest, CreditRequestIsAnswered) {
  const UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRw), "seven b");
  Send(Header(kVsockOpCreditRequest));
  const SentPacket answer = Next();
  EXPECT_EQ(answer.header.op, kVsockOpCreditUpdate);
  EXPECT_EQ(answer.header.fwd_cnt, 7u);
  EXPECT_EQ(answer.header.buf_alloc, options_.buf_alloc);
}

// #9: many small packets within the window of bytes.
TEST_F(LessonsTest, SmallPacketsStopBeforeTheGuestResets) {
  const UniqueFd host = ConnectFromGuest();
  uint32_t packets = 0;
  uint16_t op = kVsockOpRw;
  while (op == kVsockOpRw) {
    ASSERT_TRUE(Write(host, "x"));
    op = Next().header.op;
    if (op == kVsockOpRw) ++packets;
    ASSERT_LT(packets, kGuestBufAlloc / 576);
  }
  EXPECT_EQ(op, kVsockOpCreditRequest);
  EXPECT_GT(packets, 300u);
  EXPECT_EQ(Next().header.op, 0);
  // Asked again after a while: the guest need not tell by itself.
  AdvanceSeconds(1);
  EXPECT_EQ(Next().header.op, kVsockOpCreditRequest);
  Send(Credit(packets));
  EXPECT_EQ(Next().payload, "x");
}

// #9: what there is to read goes into full buffers.
TEST_F(LessonsTest, SmallWritesOfTheHostFillBuffers) {
  const UniqueFd host = ConnectFromGuest();
  for (int i = 0; i < 80; ++i) ASSERT_TRUE(Write(host, std::string(100, 'x')));
  EXPECT_EQ(Next().payload.size(), 3732u);
  EXPECT_EQ(Next().payload.size(), 3732u);
  EXPECT_EQ(Next().payload.size(), 8000u - 2 * 3732u);
}

// #10: a socket with data but without credit or buffers kept its thread busy.
TEST_F(LessonsTest, DataThatCannotBeDeliveredLetsTheThreadSleep) {
  const UniqueFd host = ConnectFromGuest();
  sink_.set_buffers(0);
  ASSERT_TRUE(Write(host, "data"));
  EXPECT_EQ(Run(), Muxer::Delivered::kNoRoom);
  EXPECT_TRUE(Sleeps());
  sink_.set_buffers(100);
  EXPECT_EQ(Next().payload, "data");
  Send(Credit(0, 4));
  ASSERT_TRUE(Write(host, "more"));
  EXPECT_EQ(Next().header.op, kVsockOpCreditRequest);
  EXPECT_EQ(Run(), Muxer::Delivered::kAll);
  EXPECT_TRUE(Sleeps());
  Send(Credit(4, 4));
  EXPECT_EQ(Next().payload, "more");
}

// #10: nor does one that was reset, though its socket is still open elsewhere.
TEST_F(LessonsTest, ConnectionThatWasResetLeavesThePollSet) {
  UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRst));
  EXPECT_EQ(muxer_->connections(), 0u);
  Run();
  EXPECT_EQ(Read(host), "<EOF>");
  host.reset();
  EXPECT_TRUE(Sleeps());
}

// #10: an event for a connection that is gone must not meet its successor.
TEST_F(LessonsTest, LateEventDoesNotMeetTheNextConnection) {
  const UniqueFd first = ConnectFromGuest();
  ASSERT_TRUE(Write(first, "first"));  // An event is there from now on.
  Send(Header(kVsockOpRst));
  const UniqueFd second = ConnectFromGuest();
  EXPECT_EQ(Next().header.op, 0);
  ASSERT_TRUE(Write(second, "second"));
  EXPECT_EQ(Next().payload, "second");
}

// #11: a connection that is shut down one way still needs credit.
TEST_F(LessonsTest, HalfClosedConnectionSendsCreditUpdates) {
  const UniqueFd host = ConnectFromGuest();
  ASSERT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  EXPECT_EQ(Next().header.flags, kVsockShutdownSend);
  const std::string sent = FillWindow();
  EXPECT_TRUE(ReadAll(host, sent.size()) == sent);
  EXPECT_EQ(Next().header.op, kVsockOpCreditUpdate);
}

// #12: nobody listens, or the backlog is full: RST at once.
TEST_F(LessonsTest, RefusedCallIsResetAtOnce) {
  backend_.set_connect_status(absl::UnavailableError("full"));
  Send(Header(kVsockOpRequest));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Resets(VsockReset::kRefused), 1u);
  EXPECT_EQ(muxer_->connections(), 0u);
}

// #13: a caller that the guest refuses is closed, without an "OK".
TEST_F(LessonsTest, CallerThatTheGuestRefusesIsClosed) {
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234, "OK %\n");
  const SentPacket request = Next();
  Send(Header(kVsockOpRst, 1234, request.header.src_port));
  EXPECT_EQ(Read(host), "<EOF>");
  EXPECT_EQ(muxer_->connections(), 0u);
}

// #13: with listen_wait, it waits for somebody to listen.
TEST_F(LessonsTest, CallerWaitsForSomebodyToListen) {
  options_.listen_wait = absl::Seconds(30);
  Make();
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234, "OK %\n");
  for (int i = 0; i < 5; ++i) {
    const SentPacket request = Next();
    ASSERT_EQ(request.header.op, kVsockOpRequest);
    Send(Header(kVsockOpRst, 1234, request.header.src_port));
    if (i == 0) {
      EXPECT_EQ(Next().header.op, 0);  // Not at once.
    }
    AdvanceSeconds(1);
  }
  const SentPacket request = Next();
  Send(Header(kVsockOpResponse, 1234, request.header.src_port));
  EXPECT_EQ(Read(host), "OK 1073741824\n");
}

// #14: who calls before the driver is there waits for it.
TEST_F(LessonsTest, CallBeforeTheDriverIsThereIsOfferedLater) {
  muxer_->Reset();
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234);
  muxer_->PollHost(MonotonicNanoseconds());
  muxer_->Reset();
  EXPECT_EQ(muxer_->connections(), 1u);
  muxer_->Start(BothTypes());
  EXPECT_EQ(Next().header.op, kVsockOpRequest);
}

// #14: but not forever.
TEST_F(LessonsTest, CallerIsGivenUpOnInTime) {
  muxer_->Reset();
  const UniqueFd early = backend_.Call(kVsockTypeStream, 1234);
  muxer_->PollHost(MonotonicNanoseconds());
  EXPECT_LE(
      muxer_->deadline_ns(),
      MonotonicNanoseconds() + absl::ToInt64Nanoseconds(options_.connect_wait));
  AdvanceSeconds(11);
  muxer_->PollHost(MonotonicNanoseconds() + later_ns_);
  EXPECT_EQ(Read(early), "<EOF>");
  muxer_->Start(BothTypes());
  const UniqueFd offered = backend_.Call(kVsockTypeStream, 1234);
  EXPECT_EQ(Next().header.op, kVsockOpRequest);
  AdvanceSeconds(11);
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Read(offered), "<EOF>");
  EXPECT_EQ(Resets(VsockReset::kTimeout), 2u);
}

// #15: a guest that is connecting takes a packet of credit for an error.
TEST_F(LessonsTest, NothingGoesBeforeTheResponse) {
  sink_.set_buffers(0);
  Send(Header(kVsockOpRequest));
  Send(Header(kVsockOpCreditRequest));
  UniqueFd host = backend_.Accept(kHostPort);
  ASSERT_TRUE(Write(host, "early"));
  Run();
  sink_.set_buffers(10);
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  EXPECT_EQ(Next().header.op, kVsockOpCreditUpdate);
  EXPECT_EQ(Next().payload, "early");
}

// #15: the same for a call that the guest has not answered.
TEST_F(LessonsTest, NothingFollowsARequestBeforeItsAnswer) {
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234);
  ASSERT_TRUE(Write(host, "early"));
  const SentPacket request = Next();
  Send(Header(kVsockOpCreditRequest, 1234, request.header.src_port));
  EXPECT_EQ(Next().header.op, 0);
  Send(Header(kVsockOpResponse, 1234, request.header.src_port));
  EXPECT_EQ(Next().payload, "early");
}

// #16: a caller that goes away at once harms nothing.
TEST_F(LessonsTest, CallerThatGoesAwaySilentlyIsForgotten) {
  muxer_->Reset();
  backend_.Call(kVsockTypeStream, 1234, "OK %\n").reset();
  muxer_->PollHost(MonotonicNanoseconds());
  muxer_->PollHost(MonotonicNanoseconds());
  EXPECT_EQ(muxer_->connections(), 0u);
}

// #17: a caller that writes and closes, without waiting for its "OK".
TEST_F(LessonsTest, CallerThatClosedAlreadyIsStillHeard) {
  UniqueFd host = backend_.Call(kVsockTypeStream, 1234, "OK %\n");
  ASSERT_TRUE(Write(host, "the only words"));
  host.reset();
  const SentPacket request = Next();
  ASSERT_EQ(request.header.op, kVsockOpRequest);
  Send(Header(kVsockOpResponse, 1234, request.header.src_port));
  EXPECT_EQ(Next().payload, "the only words");
  EXPECT_EQ(Next().header.flags, kVsockShutdownBoth);
}

// #18: SIGPIPE.
TEST_F(LessonsTest, WritingToWhoIsGoneRaisesNoSignal) {
  UniqueFd host = ConnectFromGuest();
  host.reset();
  Send(Header(kVsockOpRw), "to nobody");
  EXPECT_EQ(Next().header.op, kVsockOpShutdown);
}

// #19: the host says that it has sent all, and still reads.
TEST_F(LessonsTest, HostThatHasSentAllStillGetsTheAnswer) {
  const UniqueFd host = ConnectFromGuest();
  ASSERT_TRUE(Write(host, "request"));
  ASSERT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  EXPECT_EQ(Next().payload, "request");
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownSend);
  Send(Header(kVsockOpRw), "answer");
  EXPECT_EQ(Read(host), "answer");
  Send(Shutdown(kVsockShutdownBoth));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Read(host), "<EOF>");
}

// #19: and the other way round.
TEST_F(LessonsTest, GuestThatHasSentAllStillGetsTheAnswer) {
  const UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRw), "request");
  Send(Shutdown(kVsockShutdownSend));
  EXPECT_EQ(Read(host), "request");
  EXPECT_EQ(Read(host), "<EOF>");
  ASSERT_TRUE(Write(host, "answer"));
  EXPECT_EQ(Next().payload, "answer");
}

// #19: the host reads no more, which no event but a writable socket tells.
TEST_F(LessonsTest, HostThatReadsNoMoreIsFound) {
  const UniqueFd host = ConnectFromGuest();
  EXPECT_EQ(Next().header.op, 0);
  ASSERT_EQ(::shutdown(host.get(), SHUT_RD), 0);
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownReceive);
  ASSERT_TRUE(Write(host, "but writes"));
  EXPECT_EQ(Next().payload, "but writes");
}

// #19: also behind data, when events of a writable socket are not asked for.
TEST_F(LessonsTest, HostThatReadsNoMoreIsFoundAfterData) {
  const UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRw), "data");
  Run();
  EXPECT_EQ(Read(host), "data");
  Run();
  ASSERT_EQ(::shutdown(host.get(), SHUT_RD), 0);
  AdvanceSeconds(1);
  EXPECT_EQ(Next().header.flags, kVsockShutdownReceive);
}

// #19: the guest reads no more.
TEST_F(LessonsTest, GuestThatReadsNoMoreStopsTheHost) {
  const UniqueFd host = ConnectFromGuest();
  Send(Shutdown(kVsockShutdownReceive));
  EXPECT_FALSE(Write(host, "to nobody"));
  Send(Header(kVsockOpRw), "but sends");
  EXPECT_EQ(Read(host), "but sends");
  // "These hints are permanent once sent." (§5.10.6.6)
  Send(Shutdown(0));
  EXPECT_FALSE(Write(host, "to nobody"));
  Send(Shutdown(kVsockShutdownSend));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
}

// #20: all that the host had written comes before its end.
TEST_F(LessonsTest, DataOfAHostThatClosedIsDrainedFirst) {
  UniqueFd host = ConnectFromGuest();
  const std::string all(150'000, 'd');
  ASSERT_TRUE(Write(host, all));
  host.reset();
  sink_.set_buffers(0);
  std::string received;
  while (received.size() < all.size()) {
    sink_.AddBuffers(1);
    const SentPacket packet = Next();
    ASSERT_EQ(packet.header.op, kVsockOpRw);
    received += packet.payload;
  }
  sink_.AddBuffers(1);
  EXPECT_EQ(Next().header.flags, kVsockShutdownBoth);
}

// #20: and what the guest had written comes before its RST, and its own end.
TEST_F(LessonsTest, DataOfAGuestThatClosedIsDrainedFirst) {
  const UniqueFd host = ConnectFromGuest();
  const std::string sent = FillWindow();
  Send(Shutdown(kVsockShutdownBoth));
  EXPECT_EQ(Next().header.op, 0);
  EXPECT_TRUE(ReadAll(host, sent.size()) == sent);
  EXPECT_EQ(Read(host), "<EOF>");
  EXPECT_EQ(sink_.Take().header.op, kVsockOpRst);
}

// #20: a reader that pauses for longer than the guest waits for the RST.
TEST_F(LessonsTest, SlowReaderGetsAllAfterTheGuestGaveUp) {
  const UniqueFd host = ConnectFromGuest();
  const std::string sent = FillWindow();
  Send(Shutdown(kVsockShutdownBoth));
  Run();
  AdvanceSeconds(60);
  Run();
  Send(Header(kVsockOpRst));
  EXPECT_EQ(muxer_->connections(), 1u);
  // The ports are free meanwhile.
  const UniqueFd second = ConnectFromGuest();
  Send(Header(kVsockOpRw), "second");
  EXPECT_EQ(Read(second), "second");
  EXPECT_TRUE(ReadAll(host, sent.size()) == sent);
  EXPECT_EQ(Read(host), "<EOF>");
  EXPECT_EQ(muxer_->connections(), 1u);
  EXPECT_EQ(Next().header.op, 0);
}

// #20: also across a reset of the device, as a guest shuts down.
TEST_F(LessonsTest, LastWordsOfAGuestThatResetsAreNotLost) {
  const UniqueFd host = ConnectFromGuest();
  const std::string sent = FillWindow();
  muxer_->Reset();
  EXPECT_TRUE(ReadAll(host, sent.size()) == sent);
  EXPECT_EQ(Read(host), "<EOF>");
  EXPECT_EQ(muxer_->connections(), 0u);
}

// #21: a RST that answers a RST may meet a new connection.
TEST_F(LessonsTest, RstIsNeverAnswered) {
  Send(Header(kVsockOpRst));
  PacketHeader bad_type = Header(kVsockOpRst);
  bad_type.type = 77;
  Send(bad_type);
  muxer_->Refuse(Header(kVsockOpRst), VsockReset::kUnreachable);
  EXPECT_EQ(Next().header.op, 0);
  Send(Header(kVsockOpRw), "unknown");
  EXPECT_EQ(Next().header.op, kVsockOpRst);
}

// #21: nor does one that was to be sent reach the next user of the ports.
TEST_F(LessonsTest, RstThatWaitsDoesNotMeetANewConnection) {
  sink_.set_buffers(0);
  Send(Header(kVsockOpRw), "unknown");
  Send(Header(kVsockOpRequest));
  Send(Header(99));  // Illegal: it is reset.
  Send(Header(kVsockOpRequest));
  Run();
  sink_.set_buffers(10);
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  EXPECT_EQ(Next().header.op, 0);
  EXPECT_EQ(muxer_->connections(), 1u);
}

// #21: a port of the guest's choice that the host gave to a caller.
TEST_F(LessonsTest, PortThatTheGuestTookIsNotGivenToACaller) {
  Send(Header(kVsockOpRequest, 1234, 1u << 30));
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234);
  EXPECT_EQ(Next().header.src_port, (1u << 30) + 1);
  EXPECT_EQ(muxer_->connections(), 2u);
  Send(Header(kVsockOpRst, 1234, 1u << 30));
  EXPECT_EQ(muxer_->connections(), 1u);
}

// vsock_test 21: the same ports at once, while the old connection is open.
TEST_F(LessonsTest, RequestOnALiveConnectionReplacesIt) {
  const UniqueFd first = ConnectFromGuest();
  Send(Header(kVsockOpRw), "old");
  const UniqueFd second = ConnectFromGuest();
  EXPECT_EQ(Read(first), "old");
  EXPECT_EQ(Read(first), "<EOF>");
  Send(Header(kVsockOpRw), "new");
  EXPECT_EQ(Read(second), "new");
  EXPECT_EQ(muxer_->connections(), 1u);
}

// #23: descriptors run out.
TEST_F(LessonsTest, ExhaustedDescriptorsRefuseOneAndHarmNobody) {
  const UniqueFd host = ConnectFromGuest();
  backend_.set_connect_status(absl::ErrnoToStatus(EMFILE, "socket"));
  Send(Header(kVsockOpRequest, 2000));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Resets(VsockReset::kLimit), 1u);
  Send(Header(kVsockOpRw), "unharmed");
  EXPECT_EQ(Read(host), "unharmed");
  Run();
  EXPECT_TRUE(Sleeps());
}

// #29: state that the guest makes is bounded, and only who is too many knows.
TEST_F(LessonsTest, ConnectionsBeyondTheLimitAreRefused) {
  options_.max_connections = 3;
  Make();
  const UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRequest, 2000, 81));
  Send(Header(kVsockOpRequest, 2001, 82));
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  Send(Header(kVsockOpRequest, 2002, 83));
  const SentPacket refused = Next();
  EXPECT_EQ(refused.header.op, kVsockOpRst);
  EXPECT_EQ(refused.header.dst_port, 2002u);
  const UniqueFd caller = backend_.Call(kVsockTypeStream, 1234);
  Run();
  EXPECT_EQ(Read(caller), "<EOF>");
  EXPECT_EQ(Resets(VsockReset::kLimit), 2u);
  Send(Header(kVsockOpRw), "unharmed");
  EXPECT_EQ(Read(host), "unharmed");
  // Who is there already may be replaced.
  Send(Header(kVsockOpRequest, 2000, 81));
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
}

// Bad input 34: data beyond the credit.
TEST_F(LessonsTest, DataBeyondTheCreditEndsTheConnection) {
  const UniqueFd host = ConnectFromGuest();
  FillWindow();
  Send(Header(kVsockOpRw), std::string(32768, 'x'));
  Send(Header(kVsockOpRw), std::string(32768, 'x'));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Resets(VsockReset::kCredit), 1u);
}

// Bad input 34: counts that cannot be.
TEST_F(LessonsTest, ForwardedBytesThatWereNeverSentOpenNoWindow) {
  const UniqueFd host = ConnectFromGuest();
  Send(Credit(0, 10));
  ASSERT_TRUE(Write(host, std::string(100, 'x')));
  EXPECT_EQ(Next().payload.size(), 10u);
  EXPECT_EQ(Next().header.op, kVsockOpCreditRequest);
  Send(Credit(UINT32_MAX, 10));
  Send(Credit(11, 10));
  EXPECT_EQ(Next().header.op, 0);
  Send(Credit(10, 10));
  EXPECT_EQ(Next().payload.size(), 10u);
}

// Bad input 35: RSTs that wait for buffers are bounded.
TEST_F(LessonsTest, StormOfUnknownPacketsLosesRepliesAndNothingElse) {
  const UniqueFd host = ConnectFromGuest();
  sink_.set_buffers(0);
  for (uint32_t port = 0; port < 5000; ++port) {
    Send(Header(kVsockOpRw, 10'000 + port), "x");
  }
  EXPECT_EQ(tx_.replies_lost.value(), 5000u - 1024u);
  sink_.set_buffers(5000);
  Run();
  size_t replies = 0;
  for (; !sink_.empty(); ++replies) {
    EXPECT_EQ(sink_.Take().header.op, kVsockOpRst);
  }
  EXPECT_EQ(replies, 1024u);
  Send(Header(kVsockOpRw), "unharmed");
  EXPECT_EQ(Read(host), "unharmed");
}

// Bad input 35: operations, types and states that do not fit.
TEST_F(LessonsTest, PacketsThatMakeNoSenseAreReset) {
  for (const uint16_t op : {0, 2, 99}) {
    const UniqueFd host = ConnectFromGuest();
    Send(Header(op));
    EXPECT_EQ(Next().header.op, kVsockOpRst) << op;
    EXPECT_EQ(Read(host), "<EOF>");
  }
  // Of another type than the connection, which stays.
  const UniqueFd host = ConnectFromGuest();
  PacketHeader other = Header(kVsockOpRw);
  other.type = kVsockTypeSeqpacket;
  Send(other, "x");
  const SentPacket reset = Next();
  EXPECT_EQ(reset.header.op, kVsockOpRst);
  EXPECT_EQ(reset.header.type, kVsockTypeSeqpacket);
  Send(Header(kVsockOpRw), "unharmed");
  EXPECT_EQ(Read(host), "unharmed");
  // After "I send no more".
  Send(Shutdown(kVsockShutdownSend));
  Send(Header(kVsockOpRw), "more");
  EXPECT_EQ(Next().header.op, kVsockOpRst);
}

TEST_F(LessonsTest, GuestThatDoesNotAnswerAShutdownIsResetInTime) {
  UniqueFd host = ConnectFromGuest();
  host.reset();
  EXPECT_EQ(Next().header.op, kVsockOpShutdown);
  AdvanceSeconds(9);
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(muxer_->connections(), 0u);
  EXPECT_EQ(muxer_->deadline_ns(), INT64_MAX);
}

TEST_F(LessonsTest, BusyConnectionLeavesTurnsToOthers) {
  options_.buf_alloc = 1 << 20;
  Make();
  const UniqueFd busy = ConnectFromGuest();
  Send(Header(kVsockOpRequest, 2000));
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
  const UniqueFd other = backend_.Accept(kHostPort);
  ASSERT_TRUE(Write(busy, std::string(100'000, 'b')));
  Run();
  ASSERT_TRUE(Write(busy, std::string(100'000, 'b')));
  ASSERT_TRUE(Write(other, "o"));
  while (!sink_.empty()) sink_.Take();
  // Buffers come one by one; who waits for one gets its turn.
  sink_.set_buffers(0);
  for (int i = 0; i < 4; ++i) {
    sink_.AddBuffers(1);
    if (Next().payload == "o") return;
  }
  FAIL() << "no turn";
}

TEST_F(LessonsTest, TransportResetChangesTheGuestsCid) {
  const UniqueFd old = ConnectFromGuest();
  muxer_->ResetTransport(77);
  EXPECT_EQ(Read(old), "<EOF>");
  EXPECT_EQ(muxer_->connections(), 0u);
  Send(Header(kVsockOpRequest));
  const SentPacket response = Next();
  EXPECT_EQ(response.header.op, kVsockOpResponse);
  EXPECT_EQ(response.header.dst_cid, 77u);
}

TEST_F(LessonsTest, ProgramThatKeepsUpWakesNobody) {
  const UniqueFd host = ConnectFromGuest();
  Run();
  for (int i = 0; i < 100; ++i) {
    Send(Header(kVsockOpRw), "x");
    ASSERT_EQ(Read(host), "x");
    if (i == 0) Run();
    if (i > 0) {
      ASSERT_TRUE(Sleeps()) << i;
    }
  }
}

}  // namespace
}  // namespace annulus::virtio
