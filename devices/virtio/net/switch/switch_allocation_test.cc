// Frames are forwarded, flooded, cut up and received without an allocation.

#include <sys/uio.h>

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "base/counting_allocator.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/net/switch/frame_switch_port.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// TCP over IPv4, from a byte to a byte.
std::array<uint8_t, 3054> Frame(uint8_t from, uint8_t to) {
  std::array<uint8_t, 3054> frame = {};
  frame[0] = frame[6] = 2;
  frame[5] = to;
  frame[11] = from;
  frame[12] = 8;
  frame[14] = 0x45;
  frame[23] = 6;
  frame[46] = 0x50;
  return frame;
}

TEST(SwitchAllocationTest, NoFrameCostsAnAllocation) {
  const auto frame_switch = FrameSwitch::Create("lan").value();
  const auto a = FrameSwitchPort::Create(frame_switch, 1).value();
  const auto b = FrameSwitchPort::Create(frame_switch, 1).value();
  const auto c = FrameSwitchPort::Create(frame_switch, 1).value();
  NetBackendQueue& sender = a->queue(0);
  NetBackendQueue& answering = b->queue(0);
  NetBackendQueue& other = c->queue(0);
  std::array<uint8_t, kNetHeaderBytes> header = {};
  std::array<uint8_t, 65536> room;
  const std::array<iovec, 2> to_receive = {iovec{header.data(), header.size()},
                                           iovec{room.data(), room.size()}};
  int received = 0;
  const int before = AllocationCount();
  for (uint32_t i = 0; i < 1000; ++i) {
    // Every tenth is of an address that nobody knows.
    auto frame = Frame(1, i % 10 == 0 ? 77 : 2);
    header = {};
    if (i % 3 == 0) {
      EncodeNetHeader({.flags = kNetHeaderNeedsCsum,
                       .gso_type = kNetGsoTcpv4,
                       .gso_size = 1000,
                       .csum_start = 34,
                       .csum_offset = 16},
                      absl::MakeSpan(header));
    }
    const std::array<iovec, 2> vectors = {iovec{header.data(), header.size()},
                                          iovec{frame.data(), frame.size()}};
    (void)sender.Send(vectors, kNetHeaderBytes + frame.size());
    sender.Flush();
    header = {};
    auto answer = Frame(2, 1);
    const std::array<iovec, 2> back = {iovec{header.data(), header.size()},
                                       iovec{answer.data(), answer.size()}};
    (void)answering.Send(back, kNetHeaderBytes + answer.size());
    answering.Flush();
    for (NetBackendQueue* queue : {&sender, &answering, &other}) {
      while (queue->Receive(to_receive).status == TransferStatus::kDone) {
        ++received;
      }
    }
  }
  EXPECT_EQ(AllocationCount(), before);
  // Answers; a third of the frames in three parts; each tenth twice.
  EXPECT_GT(received, 2500);
}

}  // namespace
}  // namespace annulus::virtio
