// Both ends of connections do what they like, in any order; a model that knows
// nothing of the muxer's insides says what has to come out: every byte once and
// in order, never more than the peer has room for, and an orderly end.

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kHostBufAlloc = 16 * 1024;

// One connection as its two ends see it.
struct Peers {
  uint16_t type = 0;
  uint32_t guest_port = 0;
  uint32_t host_port = 0;
  UniqueFd host;
  bool established = false;
  bool guest_done = false;  // RST was sent or received.
  uint32_t guest_sent_shutdown = 0;
  uint32_t host_said_shutdown = 0;  // As the guest was told.
  bool host_wrote_end = false;
  bool host_read_end = false;  // It saw the end of what the guest sends.
  bool host_stopped_reading = false;

  // The guest's windows.
  uint32_t guest_buf_alloc = 0;
  uint32_t sent = 0;  // By the guest.
  uint32_t peer_fwd_cnt = 0;
  uint32_t received = 0;        // By the guest.
  uint32_t forwarded = 0;       // Read by the guest's program.
  std::deque<uint32_t> queued;  // Packets that it has not read: their sizes.

  // What is on its way. Of messages: each with its size in front.
  std::string to_host;
  std::deque<std::string> messages_to_host;
  std::string to_guest;
  std::deque<std::string> messages_to_guest;
  std::string assembling;  // A message that the guest receives.
  std::string fragments;   // One that it has sent a part of.
};

class ModelTest : public MuxerFixture,
                  public ::testing::WithParamInterface<uint16_t> {
 protected:
  void SetUp() override {
    options_.buf_alloc = kHostBufAlloc;
    Make();
  }

  uint32_t Pick(uint32_t bound) { return random_() % bound; }
  std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  PacketHeader From(const Peers& peers, uint16_t op, uint32_t flags = 0) const {
    PacketHeader header = Header(op, peers.guest_port, peers.host_port);
    header.type = peers.type;
    header.flags = flags;
    header.buf_alloc = peers.guest_buf_alloc;
    header.fwd_cnt = peers.forwarded;
    return header;
  }

  void GuestConnects() {
    auto peers = std::make_unique<Peers>();
    peers->type = GetParam();
    peers->guest_port = next_port_++;
    peers->host_port = 80;
    peers->guest_buf_alloc = 2048 << Pick(4);
    Send(From(*peers, kVsockOpRequest));
    peers->host = backend_.Accept(80);
    ASSERT_TRUE(peers->host.valid());
    all_.push_back(std::move(peers));
  }

  void HostCalls() {
    auto peers = std::make_unique<Peers>();
    peers->type = GetParam();
    peers->guest_port = next_port_++;
    peers->guest_buf_alloc = 2048 << Pick(4);
    peers->host = backend_.Call(peers->type, peers->guest_port);
    all_.push_back(std::move(peers));
  }

  void GuestSends(Peers& peers) {
    if ((peers.guest_sent_shutdown & kVsockShutdownSend) != 0) return;
    const uint32_t room = kHostBufAlloc - (peers.sent - peers.peer_fwd_cnt);
    // All in one message of a size that the window can hold.
    uint32_t most = std::min(room, 6000u);
    if (peers.type == kVsockTypeSeqpacket) {
      most = std::min<uint32_t>(
          most, kHostBufAlloc - static_cast<uint32_t>(peers.fragments.size()));
    }
    const std::string bytes = Bytes(Pick(most + 1));
    if (bytes.empty()) return;
    peers.sent += static_cast<uint32_t>(bytes.size());
    const bool end =
        peers.type == kVsockTypeSeqpacket &&
        (Pick(3) != 0 || peers.fragments.size() + bytes.size() > 8000);
    Send(From(peers, kVsockOpRw, end ? kVsockSeqEom : 0), bytes);
    if (peers.type == kVsockTypeStream) {
      peers.to_host += bytes;
      return;
    }
    peers.fragments += bytes;
    if (end) {
      peers.messages_to_host.push_back(std::exchange(peers.fragments, ""));
    }
  }

  void GuestReads(Peers& peers) {
    if (peers.queued.empty()) return;
    for (uint32_t i = 1 + Pick(static_cast<uint32_t>(peers.queued.size()));
         i != 0; --i) {
      peers.forwarded += peers.queued.front();
      peers.queued.pop_front();
    }
    Send(From(peers, kVsockOpCreditUpdate));
  }

  void GuestShutsDown(Peers& peers, uint32_t flags) {
    if ((flags & kVsockShutdownSend) != 0) peers.fragments.clear();
    peers.guest_sent_shutdown |= flags;
    Send(From(peers, kVsockOpShutdown, peers.guest_sent_shutdown));
  }

  void HostWrites(Peers& peers) {
    if (!peers.host.valid() || peers.host_wrote_end) return;
    const std::string bytes = Bytes(1 + Pick(Pick(2) == 0 ? 20 : 2000));
    if (!Write(peers.host, bytes)) return;
    if (peers.type == kVsockTypeStream) {
      peers.to_guest += bytes;
    } else {
      peers.messages_to_guest.push_back(bytes);
    }
  }

  void HostReads(Peers& peers) {
    if (!peers.host.valid() || peers.host_stopped_reading) return;
    const std::string bytes = Read(
        peers.host, peers.type == kVsockTypeStream ? 1 + Pick(20'000) : 65536);
    if (bytes == "<EAGAIN>") return;
    if (bytes == "<EOF>") {
      peers.host_read_end = true;
      return;
    }
    if (bytes == "<error>") {
      // The guest does not want to read any more.
      ASSERT_TRUE(peers.guest_done ||
                  (peers.guest_sent_shutdown & kVsockShutdownReceive) != 0);
      return;
    }
    if (peers.type == kVsockTypeStream) {
      ASSERT_EQ(bytes, peers.to_host.substr(0, bytes.size()));
      peers.to_host.erase(0, bytes.size());
    } else {
      ASSERT_FALSE(peers.messages_to_host.empty());
      ASSERT_EQ(bytes, peers.messages_to_host.front());
      peers.messages_to_host.pop_front();
    }
  }

  // What the muxer has for the guest now.
  void GuestReceives() {
    Run();
    while (!sink_.empty()) {
      const SentPacket packet = sink_.Take();
      Peers* to = nullptr;
      for (auto& peers : all_) {
        if (peers->guest_port == packet.header.dst_port) to = peers.get();
      }
      ASSERT_NE(to, nullptr);
      ASSERT_NO_FATAL_FAILURE(GuestTakes(*to, packet));
    }
  }

  void GuestTakes(Peers& peers, const SentPacket& packet) {
    const PacketHeader& header = packet.header;
    ASSERT_FALSE(peers.guest_done) << header.op;
    ASSERT_EQ(header.type, peers.type);
    // fwd_cnt goes on, and never beyond what was sent.
    ASSERT_LE(header.fwd_cnt - peers.peer_fwd_cnt,
              peers.sent - peers.peer_fwd_cnt);
    peers.peer_fwd_cnt = header.fwd_cnt;
    ASSERT_EQ(header.buf_alloc, kHostBufAlloc);
    switch (header.op) {
      case kVsockOpRequest:
        ASSERT_FALSE(peers.established);
        peers.host_port = header.src_port;
        peers.established = true;
        return Send(From(peers, kVsockOpResponse));
      case kVsockOpResponse:
        ASSERT_FALSE(peers.established);
        peers.established = true;
        return;
      case kVsockOpRst:
        // Only as the regular end.
        ASSERT_EQ(peers.guest_sent_shutdown, kVsockShutdownBoth);
        peers.guest_done = true;
        return;
      case kVsockOpShutdown:
        ASSERT_TRUE(peers.established);
        ASSERT_NE(header.flags, peers.host_said_shutdown);
        ASSERT_EQ(header.flags & peers.host_said_shutdown,
                  peers.host_said_shutdown);
        peers.host_said_shutdown = header.flags;
        if (header.flags == kVsockShutdownBoth) {
          peers.guest_done = true;
          Send(From(peers, kVsockOpRst));
        }
        return;
      case kVsockOpCreditRequest:
        return Send(From(peers, kVsockOpCreditUpdate));
      case kVsockOpCreditUpdate:
        ASSERT_TRUE(peers.established);
        return;
      case kVsockOpRw:
        return TakePayload(peers, packet);
      default:
        FAIL() << header.op;
    }
  }

  void TakePayload(Peers& peers, const SentPacket& packet) {
    ASSERT_TRUE(peers.established);
    ASSERT_EQ(peers.host_said_shutdown & kVsockShutdownSend, 0u);
    peers.received += packet.header.len;
    peers.queued.push_back(packet.header.len);
    // What Linux resets a connection for.
    ASSERT_LE(peers.received - peers.forwarded, peers.guest_buf_alloc);
    ASSERT_LE(peers.queued.size() * 576, peers.guest_buf_alloc);
    if (peers.type == kVsockTypeStream) {
      ASSERT_EQ(packet.payload,
                peers.to_guest.substr(0, packet.payload.size()));
      peers.to_guest.erase(0, packet.payload.size());
      return;
    }
    peers.assembling += packet.payload;
    if (packet.header.flags != kVsockSeqEom) return;
    ASSERT_FALSE(peers.messages_to_guest.empty());
    ASSERT_EQ(peers.assembling, peers.messages_to_guest.front());
    peers.messages_to_guest.pop_front();
    peers.assembling.clear();
  }

  void Step() {
    if (all_.empty() || (all_.size() < 6 && Pick(200) == 0)) {
      return Pick(2) == 0 ? GuestConnects() : HostCalls();
    }
    Peers& peers = *all_[Pick(static_cast<uint32_t>(all_.size()))];
    const bool guest = peers.established && !peers.guest_done;
    switch (Pick(600)) {
      case 0:
        if (guest) GuestShutsDown(peers, 1 + Pick(3));
        return;
      case 1:
        if (!peers.host.valid() || peers.host_wrote_end) return;
        peers.host_wrote_end = true;
        ::shutdown(peers.host.get(), SHUT_WR);
        return;
      case 2:
        if (!peers.host.valid() || peers.host_stopped_reading) return;
        peers.host_stopped_reading = true;
        ::shutdown(peers.host.get(), SHUT_RD);
        return;
      case 3:
        peers.host.reset();
        return;
      default:
        break;
    }
    switch (Pick(6)) {
      case 0:
        return guest ? GuestSends(peers) : void();
      case 1:
        return guest ? GuestReads(peers) : void();
      case 2:
        return HostWrites(peers);
      case 3:
        return HostReads(peers);
      case 4:
        sink_.set_buffers(Pick(8));
        return GuestReceives();
      case 5:
        sink_.set_buffers(100);
        return GuestReceives();
    }
  }

  // Both ends read all that there is, until nothing moves.
  void Settle() {
    for (int i = 0; i < 200; ++i) {
      sink_.set_buffers(100);
      ASSERT_NO_FATAL_FAILURE(GuestReceives());
      for (auto& peers : all_) {
        if (peers->established && !peers->guest_done) GuestReads(*peers);
        ASSERT_NO_FATAL_FAILURE(HostReads(*peers));
      }
    }
  }

  // Nothing that somebody could still read is missing.
  void ExpectAllDelivered(const Peers& peers) {
    if (peers.host.valid() && !peers.host_stopped_reading &&
        peers.host_said_shutdown != kVsockShutdownBoth) {
      EXPECT_EQ(peers.to_host.size(), 0u);
      EXPECT_EQ(peers.messages_to_host.size(), 0u);
      if ((peers.guest_sent_shutdown & kVsockShutdownSend) != 0) {
        EXPECT_TRUE(peers.host_read_end);
      }
    }
    if ((peers.guest_sent_shutdown & kVsockShutdownReceive) == 0) {
      EXPECT_EQ(peers.to_guest.size(), 0u);
      EXPECT_EQ(peers.messages_to_guest.size(), 0u);
    }
  }

  std::mt19937 random_;
  std::vector<std::unique_ptr<Peers>> all_;
  uint32_t next_port_ = 5000;
};

TEST_P(ModelTest, RandomInterleavingsOfBothPeers) {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    for (int i = 0; i < 3000; ++i) {
      ASSERT_NO_FATAL_FAILURE(Step()) << i;
    }
    ASSERT_NO_FATAL_FAILURE(Settle());
    for (auto& peers : all_) ExpectAllDelivered(*peers);
    for (auto& peers : all_) {
      if (peers->established && !peers->guest_done) {
        GuestShutsDown(*peers, kVsockShutdownBoth);
      }
    }
    ASSERT_NO_FATAL_FAILURE(Settle());
    EXPECT_EQ(muxer_->connections(), 0u);
    for (auto& peers : all_) EXPECT_TRUE(peers->guest_done);
    all_.clear();
    ASSERT_FALSE(HasFailure());
  }
  // A peer that keeps to the rules is never told that it does not.
  for (const VsockReset reason : {VsockReset::kCredit, VsockReset::kProtocol,
                                  VsockReset::kUnknown, VsockReset::kHost}) {
    const auto index = static_cast<size_t>(reason);
    EXPECT_EQ(rx_.resets[index].value() + tx_.resets[index].value(), 0u)
        << index;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ModelTest,
                         ::testing::Values(kVsockTypeStream,
                                           kVsockTypeSeqpacket));

}  // namespace
}  // namespace annulus::virtio
