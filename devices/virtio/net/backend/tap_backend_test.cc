#include "devices/virtio/net/backend/tap_backend.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/link_observer_testing.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/net/backend/tap_device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

std::unique_ptr<TapBackend> MakeTap(const OpenTapOptions& options) {
  auto queues = OpenTap(options);
  EXPECT_TRUE(queues.ok()) << queues.status();
  if (!queues.ok()) return nullptr;
  auto backend = TapBackend::Create(*std::move(queues));
  EXPECT_TRUE(backend.ok()) << backend.status();
  if (!backend.ok()) return nullptr;
  return *std::move(backend);
}

std::unique_ptr<TapBackend> MakeTap(const std::string& name, uint16_t pairs) {
  return MakeTap({.name = name, .queue_pairs = pairs, .create = true});
}

using Header = std::array<uint8_t, kNetHeaderBytes>;

Transfer Send(NetBackendQueue& queue, std::vector<uint8_t> frame,
              Header header = {}) {
  // In three vectors, as a guest may split it.
  const size_t half = frame.size() / 2;
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), half},
                           {frame.data() + half, frame.size() - half}};
  return queue.Send(vectors,
                    static_cast<uint32_t>(header.size() + frame.size()));
}

struct Received {
  Transfer transfer;
  Header header = {};
  std::vector<uint8_t> frame;
};

Received Receive(NetBackendQueue& queue, size_t room = kNetMaxFrameBytes) {
  Received received;
  received.header.fill(0xee);
  received.frame.resize(room);
  const size_t half = room / 2;
  const iovec vectors[] = {{received.header.data(), received.header.size()},
                           {received.frame.data(), half},
                           {received.frame.data() + half, room - half}};
  received.transfer = queue.Receive(vectors);
  if (received.transfer.status == TransferStatus::kDone) {
    received.frame.resize(received.transfer.bytes - kNetHeaderBytes);
  }
  return received;
}

bool IsTestFrame(const std::vector<uint8_t>& frame, uint16_t ethertype) {
  return frame.size() > 14 && frame[12] == ethertype >> 8 &&
         frame[13] == (ethertype & 0xff);
}

// The next frame of this ethertype: the host sends some of its own accord.
Received AwaitFrame(NetBackendQueue& queue,
                    uint16_t ethertype = kTestEthertype) {
  for (;;) {
    Received received = Receive(queue);
    if (received.transfer.status == TransferStatus::kAgain) {
      EXPECT_TRUE(AwaitEvents(queue.readable_fd(), POLLIN)) << "no frame came";
      if ((EventsNow(queue.readable_fd(), POLLIN) & POLLIN) == 0) {
        return received;
      }
      continue;
    }
    if (received.transfer.status != TransferStatus::kDone ||
        IsTestFrame(received.frame, ethertype)) {
      return received;
    }
  }
}

NET_NAMESPACE_TEST(OpenTapTest, AbsentInterfaceIsNotFoundAndNotMade) {
  const auto queues = OpenTap({.name = "absent0", .queue_pairs = 2});
  EXPECT_EQ(queues.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(queues.status().message(),
            "tap \"absent0\" does not exist; make it with: ip tuntap add "
            "absent0 mode tap multi_queue");
  EXPECT_EQ(::if_nametoindex("absent0"), 0u);
}

TEST(OpenTapTest, NameThatIsNoneIsRefused) {
  for (const char* name : {"", "tap%d", "sixteen_byte_tap", "a/b", "a b"}) {
    const auto queues = OpenTap({.name = name, .create = true});
    EXPECT_EQ(queues.status().code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

NET_NAMESPACE_TEST(OpenTapTest, CreatedInterfaceIsUpAndGoesWithItsDescriptors) {
  {
    const auto tap = MakeTap("made0", 1);
    ASSERT_NE(tap, nullptr);
    EXPECT_TRUE(tap->link_up());
    EXPECT_EQ(tap->name(), "made0");
  }
  EXPECT_EQ(::if_nametoindex("made0"), 0u);
}

NET_NAMESPACE_TEST(OpenTapTest, ExistingInterfaceIsNotBroughtUp) {
  RunCommand("ip tuntap add old0 mode tap");
  const auto tap = MakeTap({.name = "old0"});
  ASSERT_NE(tap, nullptr);
  EXPECT_FALSE(tap->link_up());
}

NET_NAMESPACE_TEST(OpenTapTest, SingleQueueTapCannotGiveTwo) {
  RunCommand("ip tuntap add single0 mode tap");
  const auto queues = OpenTap({.name = "single0", .queue_pairs = 2});
  EXPECT_EQ(queues.status().message(),
            "tap \"single0\" has a single queue, 2 were asked for; make it "
            "with: ip tuntap add single0 mode tap multi_queue");
}

NET_NAMESPACE_TEST(OpenTapTest, MultiQueueTapGivesOne) {
  RunCommand("ip tuntap add multi0 mode tap multi_queue");
  EXPECT_NE(MakeTap({.name = "multi0"}), nullptr);
}

NET_NAMESPACE_TEST(OpenTapTest, MoreQueuesThanTheKernelHas) {
  const auto queues =
      OpenTap({.name = "many0", .queue_pairs = 257, .create = true});
  EXPECT_EQ(queues.status().message(),
            "tap \"many0\" has fewer than the 257 queues that were asked for "
            "left");
}

NET_NAMESPACE_TEST(OpenTapTest, BusyTap) {
  const auto tap = MakeTap("busy0", 1);
  const auto queues = OpenTap({.name = "busy0"});
  EXPECT_EQ(queues.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(queues.status().message(),
            "tap \"busy0\" is in use by another process");
}

NET_NAMESPACE_TEST(OpenTapTest, InterfaceOfAnotherKind) {
  for (const uint16_t pairs : {1, 2}) {
    const auto queues = OpenTap({.name = "lo", .queue_pairs = pairs});
    EXPECT_EQ(queues.status().message(), "interface \"lo\" is no tap");
  }
}

TEST(TapBackendTest, DescriptorsThatAreNoTap) {
  EXPECT_FALSE(TapBackend::Create({}).ok());
  std::vector<UniqueFd> file;
  file.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(TapBackend::Create(std::move(file)).ok());
}

NET_NAMESPACE_TEST(TapBackendTest, DescriptorWithoutHeaderIsRefused) {
  std::vector<UniqueFd> queues;
  queues.emplace_back(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request = {};
  std::strcpy(request.ifr_name, "bare0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  ASSERT_EQ(::ioctl(queues[0].get(), TUNSETIFF, &request), 0);
  const auto tap = TapBackend::Create(std::move(queues));
  EXPECT_EQ(tap.status().code(), absl::StatusCode::kFailedPrecondition);
}

NET_NAMESPACE_TEST(TapBackendTest, DescriptorsOfDifferentTapsAreRefused) {
  auto first = OpenTap({.name = "a0", .queue_pairs = 2, .create = true});
  auto second = OpenTap({.name = "b0", .queue_pairs = 2, .create = true});
  ASSERT_TRUE(first.ok() && second.ok());
  std::vector<UniqueFd> mixed;
  mixed.push_back(std::move((*first)[0]));
  mixed.push_back(std::move((*second)[0]));
  EXPECT_EQ(TapBackend::Create(std::move(mixed)).status().message(),
            "descriptors of different taps: \"a0\" and \"b0\"");
}

NET_NAMESPACE_TEST(TapBackendTest, FramesGoBothWays) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  const PacketSocket wire("tap0");
  for (const size_t bytes : {15, 64, 1514}) {
    const std::vector<uint8_t> frame = TestFrame(bytes, 1);
    const Transfer sent = Send(tap->queue(0), frame);
    EXPECT_EQ(sent.status, TransferStatus::kDone);
    EXPECT_EQ(sent.bytes, bytes + kNetHeaderBytes);
    EXPECT_EQ(wire.Receive(), frame);

    ASSERT_TRUE(wire.Send(frame));
    const Received received = AwaitFrame(tap->queue(0));
    EXPECT_EQ(received.transfer.status, TransferStatus::kDone);
    EXPECT_EQ(received.frame, frame);
    // Only num_buffers is not the kernel's.
    EXPECT_EQ(received.header,
              (Header{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, received.header[10],
                      received.header[11]}));
  }
}

NET_NAMESPACE_TEST(TapBackendTest, NothingThereIsAgain) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  // Whatever the host sends by itself comes to an end.
  while (Receive(tap->queue(0)).transfer.status == TransferStatus::kDone) {
  }
  EXPECT_EQ(Receive(tap->queue(0)).transfer.status, TransferStatus::kAgain);
}

NET_NAMESPACE_TEST(TapBackendTest, FrameBeyondItsRoomIsCutOff) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  RunCommand("ip link set tap0 arp off");
  const PacketSocket wire("tap0");
  ASSERT_TRUE(wire.Send(TestFrame(1000, 1)));
  for (;;) {
    ASSERT_TRUE(AwaitEvents(tap->queue(0).readable_fd(), POLLIN));
    const Received received = Receive(tap->queue(0), 40);
    ASSERT_EQ(received.transfer.status, TransferStatus::kDone);
    if (!IsTestFrame(received.frame, kTestEthertype)) continue;
    EXPECT_GE(received.transfer.bytes, 40 + kNetHeaderBytes);
    break;
  }
}

// As header split reads: the first bytes to other memory than the rest.
NET_NAMESPACE_TEST(TapBackendTest, FrameFillsItsVectorsInTheirOrder) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  RunCommand("ip link set tap0 arp off");
  const PacketSocket wire("tap0");
  const std::vector<uint8_t> frame = TestFrame(1000, 1);
  for (const size_t aside_bytes : {1ul, 13ul, 66ul, 1000ul, 2000ul}) {
    ASSERT_TRUE(wire.Send(frame));
    for (;;) {
      ASSERT_TRUE(AwaitEvents(tap->queue(0).readable_fd(), POLLIN));
      Header header;
      header.fill(0xee);
      std::vector<uint8_t> aside(aside_bytes, 0xee);
      std::vector<uint8_t> page(500, 0xee);
      std::vector<uint8_t> overflow(kNetMaxFrameBytes, 0xee);
      const iovec vectors[] = {{header.data(), header.size()},
                               {aside.data(), aside.size()},
                               {page.data(), page.size()},
                               {overflow.data(), overflow.size()}};
      const Transfer received = tap->queue(0).Receive(vectors);
      ASSERT_EQ(received.status, TransferStatus::kDone);
      std::vector<uint8_t> all = aside;
      all.insert(all.end(), page.begin(), page.end());
      all.insert(all.end(), overflow.begin(), overflow.end());
      if (!IsTestFrame(all, kTestEthertype)) continue;
      EXPECT_EQ(received.bytes, 1000 + kNetHeaderBytes);
      EXPECT_EQ(header[0], 0);
      EXPECT_EQ(header[9], 0);
      EXPECT_TRUE(std::equal(frame.begin(), frame.end(), all.begin()));
      EXPECT_EQ(all[1000], 0xee) << "more than the frame was written";
      break;
    }
  }
}

NET_NAMESPACE_TEST(TapBackendTest, FrameThatTheKernelRefusesIsDropped) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  NetBackendQueue& queue = tap->queue(0);
  // Shorter than an Ethernet header.
  EXPECT_EQ(Send(queue, std::vector<uint8_t>(10)).status,
            TransferStatus::kDropped);
  // An unknown gso_type.
  EXPECT_EQ(Send(queue, TestFrame(64, 1), Header{0, 0x55}).status,
            TransferStatus::kDropped);
  // csum_start beyond the frame.
  EXPECT_EQ(Send(queue, TestFrame(64, 1), Header{1, 0, 0, 0, 0, 0, 200}).status,
            TransferStatus::kDropped);
  // Memory that is not there.
  Header header = {};
  const iovec vectors[] = {{header.data(), header.size()}, {nullptr, 64}};
  EXPECT_EQ(queue.Send(vectors, 76).status, TransferStatus::kDropped);
  EXPECT_EQ(Send(queue, TestFrame(64, 1)).status, TransferStatus::kDone);
}

NET_NAMESPACE_TEST(TapBackendTest, InterfaceDownDropsAndNobodySpins) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  NetBackendQueue& queue = tap->queue(0);
  RunCommand("ip link set tap0 down");
  EXPECT_EQ(Send(queue, TestFrame(64, 1)).status, TransferStatus::kDropped);
  EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kAgain);
  EXPECT_EQ(EventsNow(queue.readable_fd(), POLLIN), 0);
  RunCommand("ip link set tap0 up");
  EXPECT_EQ(Send(queue, TestFrame(64, 1)).status, TransferStatus::kDone);
}

NET_NAMESPACE_TEST(TapBackendTest, DeletedInterfaceIsGone) {
  const auto tap = MakeTap("tap0", 2);
  ASSERT_NE(tap, nullptr);
  ASSERT_TRUE(tap->SetActivePairs(1).ok());
  RecordingObserver observer;
  tap->SetLinkObserver(&observer);
  RunCommand("ip link del tap0");
  for (const uint16_t pair : {0, 1}) {
    NetBackendQueue& queue = tap->queue(pair);
    EXPECT_EQ(Send(queue, TestFrame(64, 1)).status, TransferStatus::kGone);
    EXPECT_EQ(Receive(queue).transfer.status, TransferStatus::kGone);
    // Who waits for a frame is woken, to find that out.
    EXPECT_EQ(EventsNow(queue.readable_fd(), POLLIN), POLLERR);
  }
  EXPECT_FALSE(observer.Change(1));
  EXPECT_FALSE(tap->link_up());
  EXPECT_FALSE(tap->SetReceiveOffloads(FeatureSet()).ok());
  EXPECT_FALSE(tap->SetActivePairs(2).ok());
}

NET_NAMESPACE_TEST(TapBackendTest, LinkFollowsTheInterface) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  RecordingObserver observer;
  tap->SetLinkObserver(&observer);
  RunCommand("ip link set tap0 down");
  EXPECT_FALSE(observer.Change(1));
  // Others' events are none of this one, and a name is but a name.
  RunCommand("ip tuntap add other0 mode tap && ip link set other0 up");
  RunCommand("ip link set tap0 name tap9");
  RunCommand("ip link set tap9 up");
  EXPECT_TRUE(observer.Change(2));
  RunCommand("ip link set tap9 carrier off");
  EXPECT_FALSE(observer.Change(3));
  RunCommand("ip link set tap9 carrier on");
  EXPECT_TRUE(observer.Change(4));
  EXPECT_TRUE(tap->link_up());
  tap->SetLinkObserver(nullptr);
}

NET_NAMESPACE_TEST(TapBackendTest, LinkIsUpWhereTheInterfaceIsNotToBeSeen) {
  auto queues = OpenTap({.name = "tap0", .create = true});
  ASSERT_TRUE(queues.ok());
  RunCommand("ip link set tap0 down");
  // A namesake that is down, with another address.
  ASSERT_TRUE(InNetNamespace([&] {
    RunCommand("ip tuntap add tap0 mode tap");
    const auto tap = TapBackend::Create(*std::move(queues));
    ASSERT_TRUE(tap.ok()) << tap.status();
    EXPECT_TRUE((*tap)->link_up());
  }));
}

NET_NAMESPACE_TEST(TapBackendTest, OffloadsAreProbedAndSet) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  EXPECT_TRUE(tap->offloads().Has(kNetCsum));
  EXPECT_TRUE(tap->offloads().Has(kNetHostTso4));
  EXPECT_TRUE(tap->offloads().Has(kNetGuestTso6));
  EXPECT_TRUE(tap->offloads().Has(kNetGuestEcn));
  EXPECT_EQ(tap->offloads().Has(kNetHostUso),
            tap->offloads().Has(kNetGuestUso4));
  EXPECT_TRUE(tap->SetReceiveOffloads(tap->offloads()).ok());
  EXPECT_TRUE(tap->SetReceiveOffloads(FeatureSet()).ok());
  // Without its dependency, and one of two: taken for none.
  EXPECT_TRUE(tap->SetReceiveOffloads(FeatureSet::Of(kNetGuestTso4)).ok());
  EXPECT_TRUE(tap->SetReceiveOffloads(
                     FeatureSet::Of(kNetGuestCsum, kNetGuestUso4, kNetGuestEcn))
                  .ok());
}

// A TCP segment of 3000 bytes with 1000 to a frame, as an IPv4 stack has it.
std::vector<uint8_t> LargeSegment() {
  std::vector<uint8_t> bytes = {
      // virtio_net_hdr: NEEDS_CSUM, TCPV4, hdr_len 54, gso_size 1000,
      // csum_start 34, csum_offset 16.
      1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0,
      // Ethernet.
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0,
      // IPv4, 3040 bytes, DF, TCP, 10.0.0.1 to 10.0.0.2.
      0x45, 0, 0x0b, 0xe0, 0, 0, 0x40, 0, 64, 6, 0x1b, 0x16, 10, 0, 0, 1, 10, 0,
      0, 2,
      // TCP, ACK.
      0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0};
  bytes.resize(bytes.size() + 3000, 0x77);
  return bytes;
}

NET_NAMESPACE_TEST(TapBackendTest, ReceiveOffloadsDecideWhoSegments) {
  const auto tap = MakeTap("tap0", 1);
  ASSERT_NE(tap, nullptr);
  // The socket takes what its interface can do.
  ASSERT_TRUE(
      tap->SetReceiveOffloads(FeatureSet::Of(kNetGuestCsum, kNetGuestTso4))
          .ok());
  const PacketSocket wire("tap0", /*vnet_header=*/true);
  ASSERT_TRUE(wire.Send(LargeSegment()));
  const Received large = AwaitFrame(tap->queue(0), 0x0800);
  EXPECT_EQ(large.frame.size(), 3054u);
  EXPECT_EQ(large.header[0], kNetHeaderNeedsCsum);
  EXPECT_EQ(large.header[1], kNetGsoTcpv4);
  EXPECT_EQ(large.header[4] | large.header[5] << 8, 1000);

  ASSERT_TRUE(tap->SetReceiveOffloads(FeatureSet()).ok());
  ASSERT_TRUE(wire.Send(LargeSegment()));
  for (int i = 0; i < 3; ++i) {
    const Received small = AwaitFrame(tap->queue(0), 0x0800);
    EXPECT_EQ(small.frame.size(), 1054u);
    EXPECT_EQ(small.header[0] & kNetHeaderNeedsCsum, 0);
    EXPECT_EQ(small.header[1], kNetGsoNone);
  }
}

// An IPv4 UDP datagram without data; each source port is another flow.
std::vector<uint8_t> UdpFrame(uint8_t source_port) {
  return {0xff, 0xff, 0xff,        0xff, 0xff, 0xff, 2,  0, 0,  0,    0,
          1,    8,    0,           0x45, 0,    0,    28, 0, 0,  0x40, 0,
          64,   17,   0x26,        0xcf, 10,   0,    0,  1, 10, 0,    0,
          2,    1,    source_port, 0,    9,    0,    8,  0, 0};
}

NET_NAMESPACE_TEST(TapBackendTest, FramesGoToActivePairsOnly) {
  const auto tap = MakeTap("tap0", 2);
  ASSERT_NE(tap, nullptr);
  EXPECT_EQ(tap->queue_pairs(), 2);
  const PacketSocket wire("tap0");
  // One in; the other's descriptor shows nothing, and its end is no error.
  ASSERT_TRUE(tap->SetActivePairs(1).ok());
  for (uint8_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(wire.Send(UdpFrame(i)));
    EXPECT_EQ(AwaitFrame(tap->queue(0), 0x0800).frame, UdpFrame(i));
  }
  EXPECT_EQ(Receive(tap->queue(1)).transfer.status, TransferStatus::kAgain);
  ASSERT_TRUE(tap->SetActivePairs(2).ok());
  EXPECT_EQ(Send(tap->queue(1), TestFrame(64, 7)).status,
            TransferStatus::kDone);
  EXPECT_EQ(wire.Receive(), TestFrame(64, 7));
  // Now the kernel spreads flows by their hash.
  bool seen[2] = {};
  for (uint8_t flow = 0; flow < 64; ++flow) {
    ASSERT_TRUE(wire.Send(UdpFrame(flow)));
    pollfd fds[] = {{tap->queue(0).readable_fd(), POLLIN, 0},
                    {tap->queue(1).readable_fd(), POLLIN, 0}};
    ASSERT_GE(::poll(fds, 2, 10'000), 1);
    for (const uint16_t pair : {0, 1}) {
      while (true) {
        const Received received = Receive(tap->queue(pair));
        if (received.transfer.status != TransferStatus::kDone) break;
        if (received.frame == UdpFrame(flow)) seen[pair] = true;
      }
    }
  }
  EXPECT_TRUE(seen[0]);
  EXPECT_TRUE(seen[1]);
}

// The descriptors of macvtap "mv0"; empty if the host has none. Its device node
// is found in the /sys of this network namespace, and need not be in /dev.
std::vector<UniqueFd> OpenMacvtap(int queues) {
  std::vector<UniqueFd> fds;
  const std::string folder = ::testing::TempDir() + "/macvtap";
  // Mounts go with this thread.
  if (::unshare(CLONE_NEWNS) != 0 ||
      std::system("ip link add link low0 name mv0 type macvtap") != 0) {
    return fds;
  }
  const std::string command =
      "set -e; mount --make-rprivate /; mkdir -p '" + folder +
      "'; mount -t tmpfs none '" + folder + "'; cd '" + folder +
      "'; mkdir sys; mount -t sysfs none sys; "
      "mknod node c $(tr : ' ' < $(echo sys/class/net/mv0/tap*/dev))";
  if (std::system(command.c_str()) != 0) return fds;
  for (int i = 0; i < queues; ++i) {
    fds.emplace_back(::open((folder + "/node").c_str(), O_RDWR | O_CLOEXEC));
  }
  return fds;
}

NET_NAMESPACE_TEST(TapBackendTest, MacvtapByDescriptor) {
  // A macvtap is another interface on top of one: here on a tap.
  const auto lower = MakeTap("low0", 1);
  ASSERT_NE(lower, nullptr);
  std::vector<UniqueFd> fds = OpenMacvtap(2);
  if (fds.empty()) GTEST_SKIP() << "no macvtap here";
  RunCommand("ip link set mv0 up");
  auto created = TapBackend::Create(std::move(fds));
  ASSERT_TRUE(created.ok()) << created.status();
  TapBackend& macvtap = **created;
  EXPECT_EQ(macvtap.name(), "mv0");
  EXPECT_TRUE(macvtap.offloads().Has(kNetGuestTso4));
  EXPECT_TRUE(macvtap.SetReceiveOffloads(macvtap.offloads()).ok());
  EXPECT_TRUE(macvtap.SetActivePairs(1).ok());

  EXPECT_EQ(Send(macvtap.queue(0), TestFrame(64, 1)).status,
            TransferStatus::kDone);
  EXPECT_EQ(AwaitFrame(lower->queue(0)).frame, TestFrame(64, 1));
  EXPECT_EQ(Send(lower->queue(0), TestFrame(64, 2)).status,
            TransferStatus::kDone);
  EXPECT_EQ(AwaitFrame(macvtap.queue(0)).frame, TestFrame(64, 2));
  EXPECT_TRUE(macvtap.SetActivePairs(2).ok());

  RecordingObserver observer;
  macvtap.SetLinkObserver(&observer);
  RunCommand("ip link del mv0");
  EXPECT_FALSE(observer.Change(1));
  // Nothing says that it is gone but the link; and nobody spins.
  EXPECT_EQ(EventsNow(macvtap.queue(0).readable_fd(), POLLIN), 0);
  EXPECT_EQ(Receive(macvtap.queue(0)).transfer.status, TransferStatus::kAgain);
}

}  // namespace
}  // namespace annulus::virtio
