// Peers that do what is legal, or nearly so, and that nobody expects.

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/memory_sink.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "devices/virtio/vsock/packet_header.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using HostilePeersTest = MuxerFixture;

// Linux sends no more than min(its own buf_alloc, the device's) unacknowledged
// bytes, and never a CREDIT_REQUEST.
TEST_F(HostilePeersTest, GuestOfASmallerBufferLearnsOfItsCredit) {
  options_.buf_alloc = 1024 * 1024;
  Make();
  const UniqueFd program = ConnectFromGuest();
  for (int i = 0; i < 4; ++i) {
    Send(Header(kVsockOpRw), std::string(64 * 1024, 'x'));
    std::string all;
    while (all.size() < 64 * 1024) {
      const std::string bytes = Read(program);
      ASSERT_NE(bytes, "<error>");
      if (bytes == "<EAGAIN>") {
        Run();
        continue;
      }
      all += bytes;
      Run();
    }
  }
  const SentPacket packet = Next();
  EXPECT_EQ(packet.header.op, kVsockOpCreditUpdate);
  EXPECT_GT(packet.header.fwd_cnt, 0u);
}

// SO_VM_SOCKETS_BUFFER_SIZE of the guest's program.
TEST_F(HostilePeersTest, GuestOf64KiBufferLearnsOfItsCredit) {
  const UniqueFd program = ConnectFromGuest();
  PacketHeader header = Header(kVsockOpRw);
  header.buf_alloc = 64 * 1024;
  Send(header, std::string(64 * 1024, 'x'));
  EXPECT_EQ(Read(program).size(), 64u * 1024);
  EXPECT_EQ(Next().header.op, kVsockOpCreditUpdate);
}

// Newer Linux resets a connection when 455 packets wait for its program.
TEST_F(HostilePeersTest, EmptyMessagesAreMetered) {
  const UniqueFd program = ConnectFromGuest(kVsockTypeSeqpacket);
  size_t packets = 0;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 10; ++j) {
      ::send(program.get(), "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    Run();
    while (!sink_.empty()) {
      if (sink_.Take().header.op == kVsockOpRw) ++packets;
    }
  }
  EXPECT_LT(packets, 456u);
}

// A guest cannot read a part of a message, and so forwards none of it.
TEST_F(HostilePeersTest, MessageThatTakesManyPacketsIsSentWhole) {
  const UniqueFd program = ConnectFromGuest(kVsockTypeSeqpacket);
  const std::string message(100 * 1024, 'm');
  ASSERT_TRUE(Write(program, message));
  size_t received = 0;
  bool end = false;
  for (int i = 0; i < 100 && !end; ++i) {
    MemorySink small(64, 128);
    muxer_->PollHost(MonotonicNanoseconds() + later_ns_);
    muxer_->Deliver(small);
    while (!small.empty()) {
      const SentPacket packet = small.Take();
      if (packet.header.op != kVsockOpRw) continue;
      received += packet.header.len;
      end = (packet.header.flags & kVsockSeqEom) != 0;
    }
  }
  EXPECT_EQ(received, message.size());
  EXPECT_TRUE(end);
}

// A guest that opens connections, says something to a program that never
// reads, and resets them, holds no connection; nor do they stay for ever.
TEST_F(HostilePeersTest, LingeringConnectionsEnd) {
  options_.max_connections = 16;
  Make();
  std::vector<UniqueFd> programs;
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t port = kGuestPort + i;
    Send(Header(kVsockOpRequest, port));
    EXPECT_EQ(Next().header.op, kVsockOpResponse);
    programs.push_back(backend_.Accept(kHostPort));
    for (int j = 0; j < 4; ++j) {
      Send(Header(kVsockOpRw, port), std::string(60 * 1024, 'x'));
    }
    PacketHeader shutdown = Header(kVsockOpShutdown, port);
    shutdown.flags = kVsockShutdownBoth;
    Send(shutdown);
    Send(Header(kVsockOpRst, port));
    while (!sink_.empty()) sink_.Take();
  }
  // An hour later, and after the guest was reset.
  AdvanceSeconds(3600);
  Run();
  muxer_->Reset();
  muxer_->Start(BothTypes());
  Run();
  EXPECT_EQ(muxer_->connections(), 0u);
  Send(Header(kVsockOpRequest, 5000, 81));
  EXPECT_EQ(Next().header.op, kVsockOpResponse);
}

PacketHeader Message(PacketHeader header) {
  header.type = kVsockTypeSeqpacket;
  header.flags = kVsockSeqEom;
  return header;
}

// 8000 messages of 10 bytes are 80000 bytes: well within its credit.
TEST_F(HostilePeersTest, SmallMessagesWithinCreditAreNotRefused) {
  const UniqueFd program = ConnectFromGuest(kVsockTypeSeqpacket);
  for (int i = 0; i < 8000; ++i) {
    Send(Message(Header(kVsockOpRw)), "0123456789");
  }
  Run();
  while (!sink_.empty()) EXPECT_NE(sink_.Take().header.op, kVsockOpRst);
  size_t messages = 0;
  while (true) {
    const std::string message = Read(program, 64);
    if (message == "<EAGAIN>") {
      Run();
      if (Read(program, 64) == "<EAGAIN>") break;
      ++messages;
      continue;
    }
    if (message == "<EOF>" || message == "<error>") break;
    ++messages;
  }
  EXPECT_EQ(messages, 8000u);
}

// A program that stops reading before the guest has answered its call.
TEST_F(HostilePeersTest, CallerThatReadsNothingIsSaidToReadNothing) {
  const UniqueFd program = backend_.Call(kVsockTypeStream, kGuestPort);
  const SentPacket request = Next();
  ASSERT_EQ(request.header.op, kVsockOpRequest);
  ::shutdown(program.get(), SHUT_RD);
  Run();
  Send(Header(kVsockOpResponse, kGuestPort, request.header.src_port));
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownReceive);
}

}  // namespace
}  // namespace annulus::virtio
