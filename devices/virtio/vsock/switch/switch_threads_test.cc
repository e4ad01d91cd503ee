// Guests whose workers run at once, within a process and between two, under
// ThreadSanitizer in CI.

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kConnections = 4;
constexpr uint32_t kPacketsEach = 500;
constexpr int kPatienceMs = 30'000;

// The rx worker of a guest: counts what comes on each connection.
class Receiver {
 public:
  Receiver(TestGuest& guest, uint32_t expected)
      : guest_(guest), expected_(expected), thread_([this] { Run(); }) {}
  void Join() { thread_.join(); }

  uint32_t data = 0;
  uint32_t datagrams = 0;

 private:
  void Run() {
    while (data < expected_) {
      pollfd poll = {guest_.port().fd(), POLLIN, 0};
      if (::poll(&poll, 1, kPatienceMs) != 1) return;
      guest_.sink.buffers = 7;  // Few, so that packets have to wait.
      while (!guest_.Deliver()) guest_.sink.buffers = 7;
      for (const auto& packet : std::exchange(guest_.sink.packets, {})) {
        if (packet.header.op != kVsockOpRw) continue;
        uint32_t& next =
            next_[packet.header.src_cid << 32 | packet.header.src_port];
        ANNULUS_CHECK(packet.header.fwd_cnt == next++);
        ++data;
      }
    }
  }

  TestGuest& guest_;
  const uint32_t expected_;
  std::map<uint64_t, uint32_t> next_;
  std::thread thread_;
};

void SendData(TestGuest& from, uint64_t to) {
  for (uint32_t port = 0; port < kConnections; ++port) {
    ANNULUS_CHECK(!from.Send(to, 1000 + port, 80, kVsockOpRequest));
  }
  for (uint32_t i = 0; i < kPacketsEach; ++i) {
    for (uint32_t port = 0; port < kConnections; ++port) {
      PacketHeader header = from.Header(to, 1000 + port, 80, kVsockOpRw);
      header.fwd_cnt = i;
      ANNULUS_CHECK(!from.Send(header, std::string(1 + i, 'x')));
      from.SendDatagram(to, "d");
    }
  }
}

// Whether the third guest lives in another process.
class SwitchThreadsTest : public ::testing::TestWithParam<bool> {
 protected:
  SwitchThreadsTest() {
    one_ = *VsockSwitch::Create({.directory = directory_.path()});
    two_ = GetParam() ? *VsockSwitch::Create({.directory = directory_.path()})
                      : one_;
  }

  const SocketDirectory directory_;
  std::shared_ptr<VsockSwitch> one_;
  std::shared_ptr<VsockSwitch> two_;
};

TEST_P(SwitchThreadsTest, EachSendsToEach) {
  TestGuest a(*one_, 3), b(*one_, 4), c(*two_, 5);
  const std::vector<TestGuest*> guests = {&a, &b, &c};
  std::vector<std::unique_ptr<Receiver>> receivers;
  std::vector<std::thread> senders;
  for (TestGuest* guest : guests) {
    receivers.push_back(
        std::make_unique<Receiver>(*guest, 2 * kConnections * kPacketsEach));
  }
  for (TestGuest* guest : guests) {
    senders.emplace_back([guest, &guests] {
      for (TestGuest* other : guests) {
        if (other != guest) SendData(*guest, other->cid());
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  for (auto& receiver : receivers) {
    receiver->Join();
    EXPECT_EQ(receiver->data, 2 * kConnections * kPacketsEach);
  }
}

// One guest restarts and vanishes while the others talk to it.
TEST_P(SwitchThreadsTest, DevicesComeAndGo) {
  TestGuest a(*one_, 3), b(*one_, 4);
  std::atomic<bool> stop{false};
  const auto talk = [&stop](TestGuest& guest) {
    for (uint32_t port = 0; !stop.load(); ++port) {
      guest.Send(5, port, 80, kVsockOpRequest);
      guest.Send(5, port, 80, kVsockOpRw, "x");
      guest.SendDatagram(5, "x");
      if (port % 3 == 0) guest.Send(5, port, 80, kVsockOpRst);
    }
  };
  const auto receive = [&stop](TestGuest& guest) {
    while (!stop.load()) {
      guest.sink.buffers = 100;
      guest.Deliver();
      guest.sink.packets.clear();
    }
  };
  std::vector<std::thread> threads;
  for (TestGuest* guest : {&a, &b}) {
    threads.emplace_back(talk, std::ref(*guest));
    threads.emplace_back(receive, std::ref(*guest));
  }
  uint64_t packets = 0;
  for (int i = 0; i < 10 && !HasFailure(); ++i) {
    TestGuest c(*two_, 5);
    for (int j = 0; j < 3 && !HasFailure(); ++j) {
      // Never before it was reached: others may take it for gone for a while.
      const uint64_t enough = packets + 20;
      while (packets < enough) {
        pollfd poll = {c.port().fd(), POLLIN, 0};
        if (::poll(&poll, 1, kPatienceMs) != 1) {
          ADD_FAILURE() << "nobody reached it";
          break;
        }
        c.sink.buffers = 50;
        c.Deliver();
        for (const auto& packet : std::exchange(c.sink.packets, {})) {
          ++packets;
          c.Send(packet.header.src_cid, 80, packet.header.src_port,
                 packet.header.op == kVsockOpRequest ? kVsockOpResponse
                                                     : kVsockOpRst);
        }
      }
      c.Reset();
      c.Start();
    }
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  // All who were connected have been told by now.
  for (TestGuest* guest : {&a, &b}) {
    for (bool more = true; more;) {
      guest->sink.buffers = 100;
      guest->Deliver();
      guest->sink.packets.clear();
      more = guest->Readable();
    }
    EXPECT_NE(guest->Send(5, 1, 80, kVsockOpRw, "x"), std::nullopt);
  }
}

INSTANTIATE_TEST_SUITE_P(Processes, SwitchThreadsTest, ::testing::Bool());

}  // namespace
}  // namespace annulus::virtio
