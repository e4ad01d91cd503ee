// Connections of messages (virtio 1.4 §5.10.6.5 "Seqpacket Sockets").

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class SeqpacketTest : public MuxerFixture {
 protected:
  void SetUp() override {
    MuxerFixture::SetUp();
    host_ = ConnectFromGuest(kVsockTypeSeqpacket);
  }

  static PacketHeader Message(uint32_t flags = kVsockSeqEom) {
    PacketHeader header = Header(kVsockOpRw);
    header.type = kVsockTypeSeqpacket;
    header.flags = flags;
    return header;
  }
  static PacketHeader Credit(uint32_t fwd_cnt,
                             uint32_t buf_alloc = kGuestBufAlloc) {
    PacketHeader header = Message(0);
    header.op = kVsockOpCreditUpdate;
    header.fwd_cnt = fwd_cnt;
    header.buf_alloc = buf_alloc;
    return header;
  }

  // A message as the guest puts it together, from all the packets that there
  // are now; "<none>" if there is none, "<part>" if its end is not there.
  std::string NextMessage() {
    std::string message;
    SentPacket packet = Next();
    while (packet.header.op == kVsockOpCreditUpdate) packet = Next();
    if (packet.header.op != kVsockOpRw) return "<none>";
    while (true) {
      EXPECT_EQ(packet.header.type, kVsockTypeSeqpacket);
      message += packet.payload;
      if (packet.header.flags == kVsockSeqEom) return message;
      if (sink_.empty()) return "<part>";
      packet = sink_.Take();
    }
  }

  UniqueFd host_;
};

TEST_F(SeqpacketTest, MessagesKeepTheirBoundsBothWays) {
  Send(Message(), "one");
  Send(Message(), "two");
  EXPECT_EQ(Read(host_), "one");
  EXPECT_EQ(Read(host_), "two");
  ASSERT_TRUE(Write(host_, "three") && Write(host_, "four"));
  EXPECT_EQ(NextMessage(), "three");
  EXPECT_EQ(NextMessage(), "four");
}

TEST_F(SeqpacketTest, FragmentsOfTheGuestBecomeOneMessage) {
  Send(Message(0), "frag");
  Send(Message(0), "men");
  EXPECT_EQ(Read(host_), "<EAGAIN>");
  Send(Message(), "ted");
  Send(Message(), "next");
  Run();
  EXPECT_EQ(Read(host_), "fragmented");
  EXPECT_EQ(Read(host_), "next");
}

TEST_F(SeqpacketTest, MessageAsLargeAsTheWindowGoesInOnePiece) {
  std::string message;
  for (int i = 0; i < 4; ++i) {
    const std::string piece(options_.buf_alloc / 4, static_cast<char>('a' + i));
    Send(Message(i == 3 ? kVsockSeqEom : 0), piece);
    message += piece;
  }
  Run();
  EXPECT_TRUE(Read(host_) == message);
}

TEST_F(SeqpacketTest, MessageOfSeveralBuffersHasItsEndInTheLast) {
  const std::string message(10'000, 'm');
  ASSERT_TRUE(Write(host_, message));
  const SentPacket first = Next();
  EXPECT_EQ(first.header.flags, 0u);
  EXPECT_EQ(first.payload.size(), 3732u);
  EXPECT_EQ(Next().header.flags, 0u);
  const SentPacket last = Next();
  EXPECT_EQ(last.header.flags, kVsockSeqEom);
  EXPECT_EQ(last.payload.size(), 10'000u - 2 * 3732u);
}

TEST_F(SeqpacketTest, MessageForWhichThereAreTooFewBuffersGoesBitByBit) {
  std::string message;
  while (message.size() < 100'000) message += std::to_string(message.size());
  ASSERT_TRUE(Write(host_, message) && Write(host_, "next"));
  sink_.set_buffers(0);
  std::string received;
  while (received.size() < message.size()) {
    sink_.AddBuffers(3);
    ASSERT_EQ(Run(), Muxer::Delivered::kNoRoom);
    while (!sink_.empty() && received.size() < message.size()) {
      const SentPacket packet = sink_.Take();
      received += packet.payload;
      ASSERT_EQ(packet.header.flags,
                received.size() < message.size() ? 0 : kVsockSeqEom);
    }
  }
  EXPECT_TRUE(received == message);
  sink_.AddBuffers(1);
  EXPECT_EQ(NextMessage(), "next");
}

TEST_F(SeqpacketTest, MessageWaitsUntilAllOfItHasCredit) {
  Send(Credit(0, 1000));
  ASSERT_TRUE(Write(host_, std::string(600, 'a')));
  ASSERT_TRUE(Write(host_, std::string(600, 'b')));
  EXPECT_EQ(NextMessage(), std::string(600, 'a'));
  EXPECT_EQ(Next().header.op, kVsockOpCreditRequest);
  Send(Credit(0, 1000));
  EXPECT_EQ(Next().header.op, 0);  // Asked once.
  Send(Credit(600, 1000));
  EXPECT_EQ(NextMessage(), std::string(600, 'b'));
  EXPECT_EQ(rx_.credit_stalls.value(), 1u);
}

TEST_F(SeqpacketTest, MessageLargerThanTheGuestsBufferEndsTheConnection) {
  Send(Credit(0, 1000));
  ASSERT_TRUE(Write(host_, std::string(1001, 'a')));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Read(host_), "<error>");  // ECONNRESET: it was not read.
}

TEST_F(SeqpacketTest, EmptyMessagesAreNotTheEnd) {
  Send(Message());
  Send(Message(), "x");
  EXPECT_EQ(Read(host_), "<EOF>");  // As it looks to recv().
  EXPECT_EQ(Read(host_), "x");
  ASSERT_TRUE(Write(host_, "") && Write(host_, "y") && Write(host_, ""));
  EXPECT_EQ(NextMessage(), "");
  EXPECT_EQ(NextMessage(), "y");
  EXPECT_EQ(NextMessage(), "");
  EXPECT_EQ(NextMessage(), "<none>");
}

TEST_F(SeqpacketTest, EmptyMessageBeforeTheEndIsToldFromIt) {
  ASSERT_TRUE(Write(host_, "") && Write(host_, ""));
  ASSERT_EQ(::shutdown(host_.get(), SHUT_WR), 0);
  EXPECT_EQ(NextMessage(), "");
  EXPECT_EQ(NextMessage(), "");
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownSend);
  EXPECT_EQ(Next().header.op, 0);
}

TEST_F(SeqpacketTest, ShutdownForReadingIsFoundWithTheNextMessage) {
  ASSERT_EQ(::shutdown(host_.get(), SHUT_RD), 0);
  Send(Message(), "a");
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownReceive);
}

TEST_F(SeqpacketTest, LookingWhetherTheHostReadsSendsItNothing) {
  Send(Message(), "a");
  Run();
  EXPECT_EQ(Read(host_), "a");
  Run();  // The socket is writable again, and looked at.
  Run();
  EXPECT_EQ(Read(host_), "<EAGAIN>");
}

TEST_F(SeqpacketTest, EmptyMessagesWithoutEndAreBounded) {
  // They take no credit, and the host's program reads none.
  uint16_t op = 0;
  for (int i = 0; i < 100'000 && op != kVsockOpRst; ++i) {
    Send(Message());
    if (i % 100 == 0) op = Next().header.op;
  }
  EXPECT_EQ(op, kVsockOpRst);
  EXPECT_GT(tx_.resets[static_cast<size_t>(VsockReset::kCredit)].value(), 0u);
}

TEST_F(SeqpacketTest, UnreadDataInTheGuestsWayDoesNotHideWhatTheHostSaid) {
  Send(Message(), "never read");
  ASSERT_TRUE(Write(host_, "said"));
  host_.reset();  // ECONNRESET here, before the message.
  EXPECT_EQ(NextMessage(), "said");
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownBoth);
}

TEST_F(SeqpacketTest, HalfAMessageIsDroppedWhenTheGuestShutsDown) {
  Send(Message(0), "half");
  PacketHeader shutdown = Message(kVsockShutdownBoth);
  shutdown.op = kVsockOpShutdown;
  Send(shutdown);
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(Read(host_), "<EOF>");
}

class SeqpacketRefusedTest : public MuxerFixture {};

TEST_F(SeqpacketRefusedTest, TypeThatWasNotNegotiatedIsReset) {
  Make(FeatureSet());
  PacketHeader request = Header(kVsockOpRequest);
  request.type = kVsockTypeSeqpacket;
  Send(request);
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  // "If no feature bit has been negotiated, the device SHOULD act as if
  // VIRTIO_VSOCK_F_STREAM has been negotiated." (§5.10.3)
  EXPECT_TRUE(ConnectFromGuest(kVsockTypeStream).valid());
}

TEST_F(SeqpacketRefusedTest, StreamsAreImpliedUnlessTheDriverSaysNot) {
  Make(FeatureSet::Of(kVsockSeqpacket));
  EXPECT_TRUE(ConnectFromGuest(kVsockTypeStream).valid());
  Make(FeatureSet::Of(kVsockSeqpacket, kVsockNoImpliedStream));
  Send(Header(kVsockOpRequest));
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(tx_.resets[static_cast<size_t>(VsockReset::kType)].value(), 1u);
}

TEST_F(SeqpacketRefusedTest, CallerOfATypeThatWasNotNegotiatedIsClosed) {
  muxer_->Reset();
  const UniqueFd early = backend_.Call(kVsockTypeSeqpacket, 1);
  muxer_->PollHost(MonotonicNanoseconds());
  EXPECT_EQ(muxer_->connections(), 1u);
  muxer_->Start(FeatureSet());
  EXPECT_EQ(Read(early), "<EOF>");
  const UniqueFd late = backend_.Call(kVsockTypeSeqpacket, 1);
  EXPECT_EQ(Next().header.op, 0);
  EXPECT_EQ(Read(late), "<EOF>");
  EXPECT_EQ(muxer_->connections(), 0u);
}

}  // namespace
}  // namespace annulus::virtio
