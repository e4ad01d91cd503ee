#include "devices/virtio/vsock/connection/muxer.h"

#include <malloc.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/counting_allocator.h"
#include "base/unique_fd.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class MuxerTest : public MuxerFixture {};

TEST_F(MuxerTest, GuestCallsAndDataGoesBothWays) {
  const UniqueFd host = ConnectFromGuest();
  ASSERT_TRUE(host.valid());
  EXPECT_EQ(muxer_->connections(), 1u);

  Send(Header(kVsockOpRw), "hello");
  EXPECT_EQ(Read(host), "hello");

  ASSERT_TRUE(Write(host, "world"));
  const SentPacket packet = Next();
  EXPECT_EQ(packet.payload, "world");
  EXPECT_EQ(packet.header, (PacketHeader{.src_cid = kVsockHostCid,
                                         .dst_cid = kCid,
                                         .src_port = kHostPort,
                                         .dst_port = kGuestPort,
                                         .len = 5,
                                         .type = kVsockTypeStream,
                                         .op = kVsockOpRw,
                                         .buf_alloc = options_.buf_alloc,
                                         .fwd_cnt = 5}));
}

TEST_F(MuxerTest, HostCallsAndDataGoesBothWays) {
  const UniqueFd host = backend_.Call(kVsockTypeStream, 1234, "OK %\n");
  const SentPacket request = Next();
  EXPECT_EQ(request.header.op, kVsockOpRequest);
  EXPECT_EQ(request.header.dst_port, 1234u);
  EXPECT_EQ(request.header.src_port, 1u << 30);
  EXPECT_EQ(Read(host), "<EAGAIN>");

  Send(Header(kVsockOpResponse, 1234, 1u << 30));
  EXPECT_EQ(Read(host), "OK 1073741824\n");
  Send(Header(kVsockOpRw, 1234, 1u << 30), "hello");
  EXPECT_EQ(Read(host), "hello");
  ASSERT_TRUE(Write(host, "world"));
  EXPECT_EQ(Next().payload, "world");
  EXPECT_EQ(rx_.connections.value(), 1u);
}

TEST_F(MuxerTest, WhoIsClosedIsShutDownAndResetByTheGuest) {
  UniqueFd host = ConnectFromGuest();
  ASSERT_TRUE(Write(host, "last words"));
  host.reset();
  EXPECT_EQ(Next().payload, "last words");
  const SentPacket shutdown = Next();
  EXPECT_EQ(shutdown.header.op, kVsockOpShutdown);
  EXPECT_EQ(shutdown.header.flags, kVsockShutdownBoth);
  Send(Header(kVsockOpRst));
  EXPECT_EQ(muxer_->connections(), 0u);
  EXPECT_EQ(Next().header.op, 0);
}

TEST_F(MuxerTest, GuestThatShutsDownBothWaysGetsRst) {
  const UniqueFd host = ConnectFromGuest();
  Send(Header(kVsockOpRw), "last words");
  PacketHeader shutdown = Header(kVsockOpShutdown);
  shutdown.flags = kVsockShutdownBoth;
  Send(shutdown);
  EXPECT_EQ(Next().header.op, kVsockOpRst);
  EXPECT_EQ(muxer_->connections(), 0u);
  EXPECT_EQ(Read(host), "last words");
  EXPECT_EQ(Read(host), "<EOF>");
}

TEST_F(MuxerTest, WhatTheHostDoesNotReadAtOnceWaitsWithinTheWindow) {
  const UniqueFd host = ConnectFromGuest();
  // As much as the window lets the guest send, and what the socket holds.
  std::string sent;
  uint32_t forwarded = 0;
  while (sent.size() - forwarded < options_.buf_alloc) {
    const std::string piece(32768, static_cast<char>('a' + sent.size() % 23));
    Send(Header(kVsockOpRw), piece);
    sent += piece;
    while (true) {
      const SentPacket packet = Next();
      if (packet.header.op == 0) break;
      ASSERT_EQ(packet.header.op, kVsockOpCreditUpdate);
      forwarded = packet.header.fwd_cnt;
    }
  }
  EXPECT_GT(sent.size(), options_.buf_alloc);
  std::string received;
  while (received.size() < sent.size()) {
    const std::string piece = Read(host);
    ASSERT_NE(piece, "<EAGAIN>");
    received += piece;
    Run();
  }
  EXPECT_TRUE(received == sent);
}

TEST_F(MuxerTest, PacketOfTheGuestAllocatesNothing) {
  const UniqueFd host = ConnectFromGuest();
  std::array<uint8_t, 4096> bytes = {};
  const ChainElement element = {
      .span = memory::GuestSpan(bytes.data(), bytes.size()),
      .address = memory::GuestAddress(0)};
  const PacketPayload payload(absl::MakeConstSpan(&element, 1), 0,
                              bytes.size());
  PacketHeader header = Header(kVsockOpRw);
  header.len = bytes.size();
  const int before = AllocationCount();
  for (int i = 0; i < 50; ++i) {
    muxer_->PacketFromGuest(header, payload);
    ASSERT_EQ(::recv(host.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  EXPECT_EQ(AllocationCount(), before);
}

TEST_F(MuxerTest, IdleConnectionTakesLittleMemory) {
  constexpr uint32_t kConnections = 200;
  std::vector<UniqueFd> hosts;
  hosts.reserve(kConnections);
  const size_t before = ::mallinfo2().uordblks;
  for (uint32_t i = 0; i < kConnections; ++i) {
    Send(Header(kVsockOpRequest, i));
    EXPECT_EQ(Next().header.op, kVsockOpResponse);
    hosts.push_back(backend_.Accept(kHostPort));
    // Something had to wait once.
    for (int piece = 0; piece < 4; ++piece) {
      Send(Header(kVsockOpRw, i), std::string(60'000, 'x'));
    }
    for (size_t left = 240'000; left != 0; Run()) left -= Read(hosts[i]).size();
    while (!sink_.empty()) sink_.Take();
    sink_.set_buffers(1000);
  }
  EXPECT_EQ(muxer_->connections(), kConnections);
  EXPECT_LT((::mallinfo2().uordblks - before) / kConnections, 2048u);
}

}  // namespace
}  // namespace annulus::virtio
