// The two directions on two threads, as in a device, with programs of the host
// on others. For ThreadSanitizer above all.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer_fixture.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// The rx worker: sleeps as that does, and hands over what the guest receives.
class ReceiveThread {
 public:
  explicit ReceiveThread(Muxer& muxer)
      : muxer_(muxer),
        stop_(EventFd::Create().value()),
        thread_(Thread::Start("rx", [this] { Loop(); }).value()) {}

  ~ReceiveThread() { Stop(); }

  void Stop() {
    stop_.Signal();
    thread_.Join();
  }

  // Waits for it.
  SentPacket Take() {
    MutexLock lock(mu_);
    while (packets_.empty()) arrived_.Wait(mu_);
    SentPacket packet = std::move(packets_.front());
    packets_.pop_front();
    return packet;
  }
  bool TryTake(SentPacket& packet) {
    MutexLock lock(mu_);
    if (packets_.empty()) return false;
    packet = std::move(packets_.front());
    packets_.pop_front();
    return true;
  }

 private:
  void Loop() {
    std::array<pollfd, 2> fds = {pollfd{muxer_.fd(), POLLIN, 0},
                                 pollfd{stop_.fd(), POLLIN, 0}};
    while (fds[1].revents == 0) {
      muxer_.PollHost(MonotonicNanoseconds());
      const bool more = muxer_.Deliver(sink_) == Muxer::Delivered::kMore;
      if (!sink_.empty()) {
        MutexLock lock(mu_);
        while (!sink_.empty()) packets_.push_back(sink_.Take());
        arrived_.NotifyAll();
      }
      sink_.set_buffers(64);
      if (more) continue;
      const int64_t deadline = muxer_.deadline_ns();
      const int64_t left = (deadline - MonotonicNanoseconds()) / 1'000'000 + 1;
      ::poll(fds.data(), fds.size(),
             static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    }
  }

  Muxer& muxer_;
  const EventFd stop_;
  MemorySink sink_{64, 3732};
  Mutex mu_;
  CondVar arrived_;
  std::deque<SentPacket> packets_ ABSL_GUARDED_BY(mu_);
  Thread thread_;
};

// Sends back what it reads, until the end.
void Echo(const UniqueFd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  ::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK);
  std::string bytes(100'000, '\0');
  while (true) {
    const ssize_t count = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (count <= 0) return;
    for (ssize_t sent = 0; sent < count;) {
      const ssize_t now =
          ::send(fd.get(), bytes.data() + sent,
                 static_cast<size_t>(count - sent), MSG_NOSIGNAL);
      if (now <= 0) return;
      sent += now;
    }
  }
}

class MuxerThreadsTest : public MuxerFixture {};

TEST_F(MuxerThreadsTest, EchoOfSeveralConnectionsIsExact) {
  constexpr uint32_t kConnections = 4;
  constexpr size_t kBytes = 2 << 20;
  struct Guest {
    std::string all;
    uint32_t sent = 0;
    uint32_t peer_fwd_cnt = 0;
    uint32_t received = 0;
    uint32_t reported = 0;
    bool shut_down = false;
    bool done = false;
  };
  ReceiveThread receive(*muxer_);
  std::vector<Guest> guests(kConnections);
  std::vector<UniqueFd> ends(kConnections);
  std::vector<Thread> programs;  // They are joined before the ends go.
  std::mt19937 random(1);
  for (uint32_t i = 0; i < kConnections; ++i) {
    guests[i].all.resize(kBytes);
    for (char& byte : guests[i].all) byte = static_cast<char>(random());
    Send(Header(kVsockOpRequest, i, 80 + i));
    ASSERT_EQ(receive.Take().header.op, kVsockOpResponse);
    ends[i] = backend_.Accept(80 + i);
    programs.push_back(Thread::Start("echo", [&ends, i] {
                         Echo(ends[i]);
                         ends[i].reset();
                       }).value());
  }
  uint32_t done = 0;
  const auto header = [&](uint32_t i, uint16_t op) {
    PacketHeader packet = Header(op, i, 80 + i);
    packet.fwd_cnt = guests[i].received;
    guests[i].reported = guests[i].received;
    return packet;
  };
  const auto take = [&](const SentPacket& packet) {
    const uint32_t i = packet.header.dst_port;
    Guest& guest = guests[i];
    guest.peer_fwd_cnt = packet.header.fwd_cnt;
    switch (packet.header.op) {
      case kVsockOpRw:
        ASSERT_TRUE(guest.all.compare(guest.received, packet.payload.size(),
                                      packet.payload) == 0);
        guest.received += packet.header.len;
        if (guest.received - guest.reported > kGuestBufAlloc / 2) {
          Send(header(i, kVsockOpCreditUpdate));
        }
        return;
      case kVsockOpCreditUpdate:
        return;
      case kVsockOpCreditRequest:
        return Send(header(i, kVsockOpCreditUpdate));
      case kVsockOpShutdown:
        ASSERT_EQ(guest.received, kBytes);
        ASSERT_TRUE(guest.shut_down);
        if (packet.header.flags != kVsockShutdownBoth) return;
        Send(header(i, kVsockOpRst));
        ++done;
        return;
      default:
        FAIL() << packet.header.op;
    }
  };
  while (done != kConnections) {
    bool moved = false;
    for (uint32_t i = 0; i < kConnections; ++i) {
      Guest& guest = guests[i];
      const uint32_t room =
          options_.buf_alloc - (guest.sent - guest.peer_fwd_cnt);
      const size_t bytes =
          std::min<size_t>({room, kBytes - guest.sent, 1 + random() % 60'000});
      if (bytes != 0) {
        moved = true;
        PacketHeader rw = header(i, kVsockOpRw);
        Send(rw, absl::string_view(guest.all).substr(guest.sent, bytes));
        guest.sent += static_cast<uint32_t>(bytes);
      } else if (guest.sent == kBytes && !guest.shut_down) {
        guest.shut_down = true;
        PacketHeader shutdown = header(i, kVsockOpShutdown);
        shutdown.flags = kVsockShutdownSend;
        Send(shutdown);
      }
    }
    SentPacket packet;
    if (moved) {
      if (!receive.TryTake(packet)) continue;
    } else {
      packet = receive.Take();
    }
    ASSERT_NO_FATAL_FAILURE(take(packet));
  }
  EXPECT_EQ(muxer_->connections(), 0u);
}

// Connections come and go from both sides at once, with data in between.
TEST_F(MuxerThreadsTest, ConnectionsThatComeAndGoLeaveNothing) {
  ReceiveThread receive(*muxer_);
  std::atomic<bool> stop = false;
  Thread host = Thread::Start("host", [&] {
                  std::mt19937 random(2);
                  std::vector<UniqueFd> ends(8);
                  while (!stop) {
                    UniqueFd& end = ends[random() % ends.size()];
                    const uint32_t port = random() % 8;
                    switch (random() % 4) {
                      case 0:
                        end = backend_.Accept(port);
                        break;
                      case 1:
                        end = backend_.Call(kVsockTypeStream, port);
                        break;
                      case 2:
                        if (end.valid()) Write(end, std::string(3000, 'h'));
                        break;
                      case 3:
                        if (end.valid()) Read(end, 1 + random() % 4000);
                        break;
                    }
                  }
                }).value();
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    SentPacket packet;
    PacketHeader header = Header(kVsockOpRw, random() % 8, random() % 8);
    if (receive.TryTake(packet) && random() % 2 == 0) {
      header.src_port = packet.header.dst_port;
      header.dst_port = packet.header.src_port;
    }
    switch (random() % 8) {
      case 0:
      case 1:
        header.op = kVsockOpRequest;
        break;
      case 2:
        header.op = kVsockOpRst;
        break;
      case 3:
        header.op = kVsockOpShutdown;
        header.flags = 1 + random() % 3;
        break;
      case 4:
        header.op = kVsockOpResponse;
        break;
      default:
        break;
    }
    header.fwd_cnt = static_cast<uint32_t>(random());
    Send(header, header.op == kVsockOpRw ? std::string(2000, 'g') : "");
  }
  stop = true;
  host.Join();
  receive.Stop();
  muxer_->Reset();
  // What is left was not offered, or waits for programs that are gone now.
  for (int i = 0; i < 2; ++i) {
    sink_.set_buffers(100'000);
    Run();
    AdvanceSeconds(60);
  }
  Run();
  EXPECT_EQ(muxer_->connections(), 0u);
}

}  // namespace
}  // namespace annulus::virtio
