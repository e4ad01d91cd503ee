// Many cards that send, receive, come and go at once.

#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/frame_switch_port.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Behind the virtio_net_hdr.
struct TestFrame {
  std::array<uint8_t, 6> to;
  std::array<uint8_t, 6> from;
  uint16_t type = 0xb588;
  uint16_t sender = 0;
  uint32_t number = 0;
  std::array<uint8_t, 44> rest = {};
};
static_assert(sizeof(TestFrame) == 64);

std::array<uint8_t, 6> Mac(uint8_t port) { return {0x52, 0x54, 0, 0, 0, port}; }

bool Send(NetBackendQueue& queue, TestFrame& frame) {
  std::array<uint8_t, kNetHeaderBytes> header = {};
  const std::array<iovec, 2> vectors = {iovec{header.data(), header.size()},
                                        iovec{&frame, sizeof(frame)}};
  return queue.Send(vectors, kNetHeaderBytes + sizeof(frame)).status ==
         TransferStatus::kDone;
}

bool Receive(NetBackendQueue& queue, TestFrame& frame) {
  std::array<uint8_t, kNetHeaderBytes> header;
  const std::array<iovec, 2> vectors = {iovec{header.data(), header.size()},
                                        iovec{&frame, sizeof(frame)}};
  return queue.Receive(vectors).status == TransferStatus::kDone;
}

void Await(NetBackendQueue& queue, TestFrame& frame) {
  while (!Receive(queue, frame)) {
    pollfd fd = {queue.readable_fd(), POLLIN, 0};
    (void)::poll(&fd, 1, -1);
  }
}

constexpr uint8_t kCards = 4;
constexpr uint32_t kFrames = 3000;

// Everyone sends to everyone, by two queues each; nothing is lost, for who
// finds a ring full tries again; each queue's frames come in order.
TEST(SwitchThreadsTest, EveryFrameArrivesInTheOrderOfItsQueue) {
  const auto frame_switch = FrameSwitch::Create("lan").value();
  std::vector<std::unique_ptr<FrameSwitchPort>> ports;
  for (uint8_t i = 0; i < kCards; ++i) {
    ports.push_back(FrameSwitchPort::Create(frame_switch, 2).value());
    ASSERT_TRUE(ports.back()->SetActivePairs(2).ok());
  }
  for (uint8_t i = 0; i < kCards; ++i) {
    TestFrame hello = {.to = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                       .from = Mac(i)};
    ASSERT_TRUE(Send(ports[i]->queue(0), hello));
    ports[i]->queue(0).Flush();
  }
  for (const auto& port : ports) {
    for (TestFrame frame; Receive(port->queue(0), frame);) {
    }
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint8_t card = 0; card < kCards; ++card) {
    for (uint16_t pair = 0; pair < 2; ++pair) {
      threads.emplace_back([&, card, pair] {
        NetBackendQueue& queue = ports[card]->queue(pair);
        for (uint32_t n = 0; n < kFrames; ++n) {
          for (uint8_t to = 0; to < kCards; ++to) {
            if (to == card) continue;
            TestFrame frame = {
                .to = Mac(to), .from = Mac(card), .sender = card, .number = n};
            while (!Send(queue, frame)) {
              queue.Flush();
              std::this_thread::yield();
            }
          }
          if (n % 16 == 0) queue.Flush();
        }
        queue.Flush();
      });
      threads.emplace_back([&, card, pair] {
        std::array<uint32_t, kCards> next = {};
        for (uint32_t seen = 0; seen < (kCards - 1) * kFrames; ++seen) {
          TestFrame frame;
          Await(ports[card]->queue(pair), frame);
          if (frame.to != Mac(card) || frame.sender >= kCards ||
              frame.number != next[frame.sender]++) {
            ++wrong;
          }
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SwitchThreadsTest, PortsComeAndGoWhileOthersFlood) {
  const auto frame_switch = FrameSwitch::Create("lan").value();
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint8_t card = 0; card < 2; ++card) {
    threads.emplace_back([&, card] {
      const auto port = FrameSwitchPort::Create(frame_switch, 1).value();
      while (!stop) {
        for (uint8_t to = 0; to < kCards; ++to) {
          // Some of them are there, some are not, some come and go.
          TestFrame frame = {.to = Mac(to), .from = Mac(card), .sender = card};
          (void)Send(port->queue(0), frame);
        }
        port->queue(0).Flush();
        for (TestFrame frame; Receive(port->queue(0), frame);) {
          if (frame.sender >= kCards || frame.sender == card) ++wrong;
        }
      }
    });
  }
  for (uint8_t card = 2; card < kCards; ++card) {
    threads.emplace_back([&, card] {
      for (int round = 0; round < 200; ++round) {
        const uint16_t pairs = static_cast<uint16_t>(1 + round % 3);
        const auto port = FrameSwitchPort::Create(frame_switch, pairs).value();
        (void)port->SetActivePairs(pairs);
        for (uint16_t pair = 0; pair < pairs; ++pair) {
          TestFrame frame = {.to = Mac(0), .from = Mac(card), .sender = card};
          (void)Send(port->queue(pair), frame);
          port->queue(pair).Flush();
          (void)port->SetActivePairs(static_cast<uint16_t>(pair + 1));
        }
        TestFrame frame;
        if (round % 4 == 0) Await(port->queue(0), frame);
        for (int i = 0; i < 50 && Receive(port->queue(0), frame); ++i) {
          if (frame.sender >= kCards || frame.sender == card) ++wrong;
        }
      }
    });
  }
  for (size_t i = 2; i < threads.size(); ++i) threads[i].join();
  stop = true;
  threads[0].join();
  threads[1].join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace annulus::virtio
