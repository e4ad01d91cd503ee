// Guests in processes of their own, one of which is killed.

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using ::testing::Contains;

constexpr uint64_t kOwnCid = 3;
constexpr uint64_t kPeerCid = 4;
constexpr int kPatienceMs = 30'000;

// A guest that accepts everything and sends back what it is sent, inverted.
[[noreturn]] void RunEcho(const std::string& directory, int ready) {
  const auto vsock_switch = *VsockSwitch::Create({.directory = directory});
  TestGuest guest(*vsock_switch, kPeerCid);
  ANNULUS_CHECK(::write(ready, "r", 1) == 1);
  for (;;) {
    pollfd poll = {guest.port().fd(), POLLIN, 0};
    ANNULUS_CHECK(::poll(&poll, 1, -1) == 1);
    guest.Deliver();
    for (auto& [header, payload] : std::exchange(guest.sink.packets, {})) {
      const uint16_t op =
          header.op == kVsockOpRequest ? kVsockOpResponse : header.op;
      if (op != kVsockOpRw && op != kVsockOpResponse) continue;
      for (char& byte : payload) byte = static_cast<char>(~byte);
      guest.Send(header.src_cid, header.dst_port, header.src_port, op, payload);
    }
  }
}

// RunEcho() in a process of its own, which lasts as long as this.
class EchoProcess {
 public:
  explicit EchoProcess(const std::string& directory) {
    int pipe[2];
    ANNULUS_CHECK(::pipe(pipe) == 0);
    pid_ = ::fork();
    ANNULUS_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(pipe[0]);
      RunEcho(directory, pipe[1]);
    }
    ::close(pipe[1]);
    char ready;
    ANNULUS_CHECK(::read(pipe[0], &ready, 1) == 1);
    ::close(pipe[0]);
  }
  ~EchoProcess() { Kill(); }

  void Kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

class TwoProcessesTest : public ::testing::Test {
 protected:
  TwoProcessesTest() {
    switch_ = *VsockSwitch::Create({.directory = directory_.path()});
    guest_ = std::make_unique<TestGuest>(*switch_, kOwnCid);
  }

  // The next packet; a RST if none comes.
  RecordingSink::Packet Next() {
    while (came_.empty()) {
      pollfd poll = {guest_->port().fd(), POLLIN, 0};
      if (::poll(&poll, 1, kPatienceMs) != 1) {
        ADD_FAILURE() << "nothing came";
        return {{.op = kVsockOpRst}, ""};
      }
      guest_->Deliver();
      for (auto& packet : std::exchange(guest_->sink.packets, {})) {
        came_.push_back(std::move(packet));
      }
    }
    RecordingSink::Packet packet = std::move(came_.front());
    came_.pop_front();
    return packet;
  }

  void Connect(uint32_t port) {
    ASSERT_EQ(guest_->Send(kPeerCid, port, 80, kVsockOpRequest), std::nullopt);
    ASSERT_EQ(Next().header.op, kVsockOpResponse);
  }

  const SocketDirectory directory_;
  std::shared_ptr<VsockSwitch> switch_;
  std::unique_ptr<TestGuest> guest_;
  std::deque<RecordingSink::Packet> came_;
};

TEST_F(TwoProcessesTest, DataGoBothWaysUnharmed) {
  constexpr size_t kBytes = 8 * 1024 * 1024;
  constexpr size_t kWindow = 256 * 1024;
  EchoProcess peer(directory_.path());
  Connect(1000);
  std::mt19937_64 random(1);
  std::string sent;
  std::string received;
  while (sent.size() < kBytes || received.size() < sent.size()) {
    while (sent.size() < kBytes && sent.size() - received.size() < kWindow) {
      std::string payload(1 + random() % 100'000, '\0');
      for (char& byte : payload) byte = static_cast<char>(random());
      ASSERT_EQ(guest_->Send(kPeerCid, 1000, 80, kVsockOpRw, payload),
                std::nullopt);
      sent += payload;
    }
    const RecordingSink::Packet packet = Next();
    ASSERT_EQ(packet.header.op, kVsockOpRw);
    received += packet.payload;
  }
  for (char& byte : received) byte = static_cast<char>(~byte);
  EXPECT_TRUE(sent == received);
}

TEST_F(TwoProcessesTest, AKilledProcessEndsItsConnections) {
  auto peer = std::make_unique<EchoProcess>(directory_.path());
  Connect(1000);
  Connect(1001);
  // In the middle: it has data to read, and data that nobody has read yet.
  const std::string payload(60'000, 'x');
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(guest_->Send(kPeerCid, 1000, 80, kVsockOpRw, payload),
              std::nullopt);
  }
  ASSERT_EQ(Next().header.op, kVsockOpRw);
  peer->Kill();
  std::vector<uint32_t> ended;
  while (ended.size() < 2) {
    const PacketHeader header = Next().header;
    if (header.op == kVsockOpRst) {
      ended.push_back(header.dst_port);
    } else {
      ASSERT_EQ(header.op, kVsockOpRw);
      ASSERT_THAT(ended, ::testing::Not(Contains(header.dst_port)));
    }
  }
  EXPECT_THAT(ended, ::testing::UnorderedElementsAre(1000, 1001));
  EXPECT_NE(guest_->Send(kPeerCid, 1000, 80, kVsockOpRw, "x"), std::nullopt);
  EXPECT_FALSE(guest_->Readable());

  // Its successor finds a stale socket and a stale lock.
  EXPECT_TRUE(std::filesystem::exists(directory_.Path("4")));
  peer = std::make_unique<EchoProcess>(directory_.path());
  Connect(1000);
}

}  // namespace
}  // namespace annulus::virtio
