// A socket device with all its threads, over each transport and kind of ring.

#include "devices/virtio/vsock/vsock_device.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/transport/queue_registers.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/vsock_device_fixture.h"
#include "devices/virtio/vsock/vsock_guest.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Packet = VsockGuest::Packet;

struct Form {
  bool pci;
  RingShape shape;
  bool mergeable;
};

std::vector<Form> AllForms() {
  std::vector<Form> forms;
  for (const bool pci : {false, true}) {
    for (const RingShape& shape : AllRingShapes()) {
      for (const bool mergeable : {false, true}) {
        forms.push_back({pci, shape, mergeable});
      }
    }
  }
  return forms;
}

std::string FormName(const testing::TestParamInfo<Form>& info) {
  return std::string(info.param.pci ? "Pci" : "Mmio") +
         NameOf(testing::TestParamInfo<RingShape>(info.param.shape, 0)) +
         (info.param.mergeable ? "Mergeable" : "");
}

class VsockDeviceTest : public testing::TestWithParam<Form>,
                        protected VsockDeviceFixture {
 protected:
  static constexpr uint32_t kOwn = 1000;
  static constexpr uint32_t kPeer = 80;

  VsockDeviceTest() {
    VsockOptions options = DefaultOptions();
    options.mrg_rxbuf = GetParam().mergeable;
    VsockGuest::Options guest = {
        .shape = GetParam().shape,
        .features = FeatureSet::Of(kVsockSeqpacket, kFeatureRingReset)};
    if (options.mrg_rxbuf) guest.mrg_rxbuf = kVsockMrgRxbufDefault;
    Make(options, GetParam().pci ? &MakePciTestDriver : &MakeMmioTestDriver,
         guest);
  }

  // The guest's connection; the host program's end.
  UniqueFd ConnectFromGuest(uint32_t own = kOwn) {
    EXPECT_EQ(guest().Connect(own, kPeer).header.op, kVsockOpResponse);
    return backend().Accept(kPeer);
  }

  // Payload of `bytes` that the guest receives; it tells what it has taken.
  std::string ReceiveBytes(size_t bytes, uint32_t own, uint32_t peer) {
    std::string all;
    size_t told = 0;
    while (all.size() < bytes) {
      const Packet packet = guest().Receive();
      if (packet.header.op != kVsockOpRw) continue;
      all += packet.payload;
      if (all.size() - told >= 64 * 1024 || all.size() == bytes) {
        told = all.size();
        PacketHeader update = guest().Header(kVsockOpCreditUpdate, own, peer);
        update.fwd_cnt = static_cast<uint32_t>(told);
        guest().Send(update);
      }
    }
    return all;
  }

  // Sends within the credit that the device grants.
  void SendBytes(const std::string& bytes, uint32_t own, uint32_t peer) {
    uint32_t forwarded = 0;
    uint32_t sent = 0;
    constexpr uint32_t kWindow = 256 * 1024;
    while (sent < bytes.size()) {
      const uint32_t here =
          std::min<uint32_t>({kWindow - (sent - forwarded), 20000,
                              static_cast<uint32_t>(bytes.size()) - sent});
      if (here != 0) {
        guest().Send(guest().Header(kVsockOpRw, own, peer),
                     bytes.substr(sent, here), {guest().header_bytes(), 4096});
        guest().AwaitSent();
        sent += here;
        continue;
      }
      forwarded = guest().Receive().header.fwd_cnt;
    }
  }

  std::string ReceiveOne() {
    while (true) {
      const Packet packet = guest().Receive();
      if (packet.header.op == kVsockOpRw) return packet.payload;
    }
  }

  void ExpectWorks(uint32_t own) {
    const UniqueFd host = ConnectFromGuest(own);
    guest().Send(guest().Header(kVsockOpRw, own, kPeer), "to the host");
    EXPECT_EQ(Read(host, 11), "to the host");
    Write(host, "to the guest");
    EXPECT_EQ(ReceiveBytes(12, own, kPeer), "to the guest");
  }
};

TEST_P(VsockDeviceTest, GuestReachesAProgramOfTheHost) {
  guest().Start();
  EXPECT_EQ(transport().Status(), 15);
  EXPECT_EQ(guest().cid(), kCid);
  const UniqueFd host = ConnectFromGuest();
  EXPECT_EQ(device().connections(), 1u);
  guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "hello", {20, 24});
  EXPECT_EQ(Read(host, 5), "hello");
  Write(host, "world");
  const Packet packet = guest().Receive();
  EXPECT_EQ(packet.payload, "world");
  EXPECT_EQ(packet.header.dst_cid, kCid);
  EXPECT_EQ(packet.header.src_cid, kVsockHostCid);
}

TEST_P(VsockDeviceTest, ProgramOfTheHostReachesTheGuest) {
  guest().Start();
  const UniqueFd host = backend().Call(kVsockTypeStream, kOwn, "OK %\n");
  const Packet request = guest().Receive();
  EXPECT_EQ(request.header.op, kVsockOpRequest);
  EXPECT_EQ(request.header.dst_port, kOwn);
  const uint32_t peer = request.header.src_port;
  guest().Send(guest().Header(kVsockOpResponse, kOwn, peer));
  EXPECT_EQ(Read(host, 3), "OK ");
  Write(host, "hello");
  EXPECT_EQ(ReceiveBytes(5, kOwn, peer), "hello");
}

// Facts 3.9, 14 (libkrun#684): the first call was swallowed during boot.
TEST_P(VsockDeviceTest, CallFromBeforeTheDriverIsKeptForIt) {
  const UniqueFd host = backend().Call(kVsockTypeStream, kOwn);
  while (device().connections() == 0) std::this_thread::yield();
  guest().Start();
  EXPECT_EQ(guest().Receive().header.op, kVsockOpRequest);
}

TEST_P(VsockDeviceTest, MuchDataGoesEachWayWhole) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  const std::string to_guest = Bytes(700000, 1);
  std::thread writer([&] { Write(host, to_guest); });
  EXPECT_TRUE(ReceiveBytes(to_guest.size(), kOwn, kPeer) == to_guest);
  writer.join();
  const std::string to_host = Bytes(700000, 2);
  std::string arrived;
  std::thread reader([&] { arrived = Read(host, to_host.size()); });
  SendBytes(to_host, kOwn, kPeer);
  reader.join();
  EXPECT_TRUE(arrived == to_host);
  EXPECT_EQ(device().tx_counters().bytes.value(), to_host.size());
  EXPECT_EQ(device().rx_counters().bytes.value(), to_guest.size());
  EXPECT_EQ(device().rx_counters().malformed.value(), 0u);
  EXPECT_FALSE(guest().ring(0).broken());
  EXPECT_FALSE(guest().ring(1).broken());
}

// "The device MUST process the tx virtqueue even when the rx virtqueue is full"
// (§5.10.6.2).
TEST_P(VsockDeviceTest, TxIsServedWithoutABufferInRx) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  guest().set_refills(false);
  Write(host, Bytes(200000));
  // The device uses all buffers there are; then it stalls.
  while (device().rx_counters().buffer_stalls.value() == 0) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 500; ++i) {
    // Half of them are answered.
    guest().Send(guest().Header(kVsockOpRequest, 5000 + i, 81));
    guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "x");
  }
  guest().AwaitSent();
  EXPECT_EQ(Read(host, 500), std::string(500, 'x'));
}

// Facts 3.9, 24 (firecracker#5958): without a notification after the start.
TEST_P(VsockDeviceTest, PacketsFromBeforeTheStartAreServedByThemselves) {
  guest().Negotiate();
  guest().EnableQueues();
  PacketHeader header = guest().Header(kVsockOpRequest, kOwn, kPeer);
  const std::string packet = WirePacket(header, "", guest().header_bytes());
  ASSERT_TRUE(guest().ring(1).Chain().Readable(packet).Offer().has_value());
  guest().DriverOk();
  EXPECT_EQ(guest().Receive().header.op, kVsockOpResponse);
}

// Pause and resume of single queues, VIRTIO_F_RING_RESET: connections go on.
TEST_P(VsockDeviceTest, RxResetLosesNothingThatWaits) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  for (int round = 0; round < 10; ++round) {
    guest().ResetQueue(guest().rx());
    const std::string bytes = Bytes(1000, round);
    Write(host, bytes);
    // Nobody is there to send to, but tx goes on.
    guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "x");
    EXPECT_EQ(Read(host, 1), "x");
    guest().EnableQueue(guest().rx());
    std::string arrived;
    while (arrived.size() < bytes.size()) {
      const Packet packet = guest().Receive();
      if (packet.header.op == kVsockOpRw) arrived += packet.payload;
    }
    EXPECT_EQ(arrived, bytes);
  }
  EXPECT_EQ(transport().Status(), 15);
}

TEST_P(VsockDeviceTest, TxResetHarmsNoConnection) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  for (int round = 0; round < 10; ++round) {
    guest().AwaitSent();
    guest().ResetQueue(guest().tx());
    Write(host, "y");
    EXPECT_EQ(ReceiveOne(), "y");
    guest().EnableQueue(guest().tx());
    guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "x");
    EXPECT_EQ(Read(host, 1), "x");
  }
  EXPECT_EQ(device().connections(), 1u);
}

// Callers are accepted, and what waits for the host is written, while there is
// no rx virtqueue.
TEST_P(VsockDeviceTest, HostIsServedBetweenTwoRunsOfRx) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  guest().ResetQueue(guest().rx());
  const UniqueFd caller = backend().Call(kVsockTypeStream, 7);
  while (device().connections() != 2) std::this_thread::yield();
  // More than a socket takes at once: the rest waits for the host to read.
  const std::string bytes = Bytes(250000);
  for (size_t done = 0; done < bytes.size(); done += 50000) {
    guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer),
                 bytes.substr(done, 50000));
    guest().AwaitSent();
  }
  EXPECT_TRUE(Read(host, bytes.size()) == bytes);
}

TEST_P(VsockDeviceTest, DeviceResetClosesConnectionsAndStartsAnew) {
  for (int round = 0; round < 3; ++round) {
    guest().Start();
    const UniqueFd host = ConnectFromGuest();
    guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "x");
    EXPECT_EQ(Read(host, 1), "x");
    transport().WriteStatus(0);
    EXPECT_TRUE(AwaitEnd(host));
    EXPECT_EQ(device().connections(), 0u);
  }
}

// Facts 3.9, 22 and 23.
TEST_P(VsockDeviceTest, TransportResetIsSeenBeforeAnythingElse) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  const uint32_t generation = transport().Generation();
  EXPECT_TRUE(device().ResetTransport(kCid + 1).ok());
  EXPECT_TRUE(AwaitEnd(host));
  EXPECT_EQ(guest().cid(), kCid + 1);
  EXPECT_NE(transport().Generation(), generation);
  const FakeDriver::Used event = guest().AwaitEvent();
  EXPECT_EQ(event.len, kVsockEventBytes);
  EXPECT_EQ(event.data, std::string(4, '\0'));
  const UniqueFd caller = backend().Call(kVsockTypeStream, kOwn);
  while (device().connections() == 0) std::this_thread::yield();
  // Packets of the driver are taken meanwhile.
  guest().Send(guest().Header(kVsockOpRequest, kOwn, kPeer));
  guest().AwaitSent();
  EXPECT_FALSE(guest().TryReceive().has_value());
  guest().AddEventBuffer();
  guest().NotifyIfWanted(guest().event());
  std::vector<uint16_t> ops = {guest().Receive().header.op,
                               guest().Receive().header.op};
  std::sort(ops.begin(), ops.end());
  EXPECT_EQ(ops, (std::vector<uint16_t>{kVsockOpRequest, kVsockOpResponse}));
  const UniqueFd accepted = backend().Accept(kPeer);
  // The old CID is another guest's.
  PacketHeader header = guest().Header(kVsockOpRequest, 3, kPeer);
  header.src_cid = kCid;
  guest().Send(header);
  guest().AwaitSent();
  EXPECT_EQ(device().tx_counters().spoofed.value(), 1u);
  ExpectWorks(9);
}

TEST_P(VsockDeviceTest, TransportResetWaitsForTheFirstEventBuffer) {
  guest().Start();
  while (guest().ring(guest().event()).DetachUnused().has_value()) {
  }
  guest().ResetQueue(guest().event());
  EXPECT_TRUE(device().ResetTransport(kCid).ok());
  guest().EnableQueue(guest().event());
  EXPECT_EQ(guest().AwaitEvent().len, kVsockEventBytes);
  guest().AddEventBuffer();
  guest().NotifyIfWanted(guest().event());
  ExpectWorks(kOwn);
}

// Facts 3.9, 24: a queue that pauses leaves the gate as it is.
TEST_P(VsockDeviceTest, GateOpensThoughTheEventQueueWasReset) {
  guest().Start();
  EXPECT_TRUE(device().ResetTransport(kCid).ok());
  EXPECT_EQ(guest().AwaitEvent().len, kVsockEventBytes);
  guest().ResetQueue(guest().event());
  guest().EnableQueue(guest().event());  // With its buffers.
  ExpectWorks(kOwn);
}

TEST_P(VsockDeviceTest, GateOpensWithTheNextDriver) {
  guest().Start();
  EXPECT_TRUE(device().ResetTransport(kCid).ok());
  guest().Start();
  ExpectWorks(kOwn);
  EXPECT_FALSE(guest().ring(guest().event()).GetUsed().has_value());
}

TEST_P(VsockDeviceTest, TransportResetWithoutADriverOnlyChangesTheCid) {
  EXPECT_TRUE(device().ResetTransport(kCid + 5).ok());
  guest().Start();
  EXPECT_EQ(guest().cid(), kCid + 5);
  ExpectWorks(kOwn);
}

// A thread that resets the transport gets its turn, whatever the traffic.
TEST_P(VsockDeviceTest, TransportResetsAmidTraffic) {
  guest().Start();
  for (uint32_t round = 0; round < 10; ++round) {
    const UniqueFd host = ConnectFromGuest(kOwn + round);
    Write(host, Bytes(50000));
    for (int i = 0; i < 10; ++i) {
      guest().Send(guest().Header(kVsockOpRw, kOwn + round, kPeer), Bytes(100));
    }
    EXPECT_TRUE(device().ResetTransport(kCid).ok());
    EXPECT_EQ(guest().AwaitEvent().len, kVsockEventBytes);
    guest().AwaitSent();
    while (guest().TryReceive().has_value()) {
    }
    guest().AddEventBuffer();
    guest().NotifyIfWanted(guest().event());
    // Answers to what the guest sent meanwhile.
    while (device().connections() != 0) std::this_thread::yield();
    guest().Send(guest().Header(kVsockOpRequest, 1, kPeer));
    while (guest().Receive().header.op != kVsockOpResponse) {
    }
    guest().Send(guest().Header(kVsockOpRst, 1, kPeer));
    while (device().connections() != 0) std::this_thread::yield();
  }
  EXPECT_EQ(transport().Status(), 15);
}

// Bad_inputs F 35.
TEST_P(VsockDeviceTest, GuestThatSendsNonsenseHarmsNobody) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  for (uint32_t op = 0; op < 10; ++op) {
    for (uint16_t type = 0; type < 5; ++type) {
      for (const uint64_t to : {uint64_t{0}, uint64_t{1}, uint64_t{2},
                                uint64_t{kCid}, ~uint64_t{0}}) {
        PacketHeader header =
            guest().Header(static_cast<uint16_t>(op), 7 + op, 8, type);
        header.dst_cid = to;
        header.flags = 0xffffffff;
        header.fwd_cnt = 0x80000000;
        guest().Send(header, "abc");
        (void)guest().TryReceive();
      }
    }
  }
  guest().AwaitSent();
  guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "still here");
  EXPECT_EQ(Read(host, 10), "still here");
  EXPECT_EQ(transport().Status(), 15);
}

// One bad queue never harms another.
TEST_P(VsockDeviceTest, QueueThatBreaksLeavesTheOthersRunning) {
  guest().Start();
  const UniqueFd host = ConnectFromGuest();
  guest().ResetQueue(guest().rx());
  transport().SelectQueue(guest().rx());
  transport().WriteQueueSize(64);
  transport().WriteQueueArea(QueueArea::kDescriptor, 0xfffffffffffffff0);
  transport().WriteQueueEnable(1);
  EXPECT_EQ(transport().Status(), 15 | kStatusDeviceNeedsReset);
  guest().Send(guest().Header(kVsockOpRw, kOwn, kPeer), "x");
  EXPECT_EQ(Read(host, 1), "x");
  guest().Start();
  ExpectWorks(kOwn);
}

INSTANTIATE_TEST_SUITE_P(All, VsockDeviceTest, testing::ValuesIn(AllForms()),
                         FormName);

}  // namespace
}  // namespace annulus::virtio
