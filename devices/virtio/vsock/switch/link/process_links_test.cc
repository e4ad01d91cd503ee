// Two switches that share a directory are what two processes are: nothing but
// sockets connects them.

#include "devices/virtio/vsock/switch/link/process_links.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/link/link_message.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kPatienceMs = 30'000;
constexpr uint64_t kMiB = 1024 * 1024;

class ProcessLinksTest : public ::testing::Test {
 protected:
  ProcessLinksTest() {
    one_ = *VsockSwitch::Create({.directory = directory_.path()});
    two_ = *VsockSwitch::Create({.directory = directory_.path()});
  }

  // Lets the guest's rx worker run until so many packets have come; those of
  // the others are lost to the test if the time is up. Returns the operations.
  static std::vector<uint16_t> Await(TestGuest& guest, size_t packets) {
    while (guest.sink.packets.size() < packets) {
      pollfd poll = {guest.port().fd(), POLLIN, 0};
      if (::poll(&poll, 1, kPatienceMs) != 1) {
        ADD_FAILURE() << "nothing came";
        break;
      }
      guest.Deliver();
    }
    return guest.sink.TakeOps();
  }

  // All that there is to do now at both ends.
  static void Settle(std::vector<TestGuest*> guests) {
    for (bool busy = true; busy;) {
      busy = false;
      for (TestGuest* guest : guests) {
        if (!guest->Readable()) continue;
        guest->Deliver();
        busy = true;
      }
    }
  }

  void Connect(TestGuest& from, TestGuest& to, uint32_t from_port = 1000,
               uint32_t to_port = 80) {
    ASSERT_EQ(from.Send(to.cid(), from_port, to_port, kVsockOpRequest),
              std::nullopt);
    ASSERT_THAT(Await(to, 1), ElementsAre(kVsockOpRequest));
    ASSERT_EQ(to.Send(from.cid(), to_port, from_port, kVsockOpResponse),
              std::nullopt);
    ASSERT_THAT(Await(from, 1), ElementsAre(kVsockOpResponse));
  }

  // A program that connects to a CID's socket, and is no device.
  UniqueFd Caller(uint64_t cid) const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = directory_.Path(absl::StrCat(cid));
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                  sizeof(address)) != 0) {
      return UniqueFd();
    }
    return socket;
  }
  static void Say(const UniqueFd& socket, absl::string_view message) {
    ASSERT_EQ(::send(socket.get(), message.data(), message.size(),
                     MSG_NOSIGNAL | MSG_DONTWAIT),
              static_cast<ssize_t>(message.size()));
  }
  static std::string Hello(uint64_t cid) {
    const LinkHello hello = EncodeLinkHello(cid);
    return std::string(hello.begin(), hello.end());
  }
  static std::string Message(const PacketHeader& header,
                             absl::string_view payload = "") {
    const LinkPacketStart start = EncodeLinkPacket(header, 77);
    return absl::StrCat(std::string(start.begin(), start.end()), payload);
  }
  static bool HungUp(const UniqueFd& socket) {
    pollfd poll = {socket.get(), 0, 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  const SocketDirectory directory_;
  std::shared_ptr<VsockSwitch> one_;
  std::shared_ptr<VsockSwitch> two_;
};

TEST_F(ProcessLinksTest, PacketsPassWithTheirCreditUntouched) {
  TestGuest a(*one_, 3), b(*two_, 4);
  Connect(a, b);
  PacketHeader data = a.Header(4, 1000, 80, kVsockOpRw);
  data.flags = kVsockSeqEom;
  data.buf_alloc = 262144;
  data.fwd_cnt = 0xfffffff0;
  ASSERT_EQ(a.Send(data, "across"), std::nullopt);
  ASSERT_EQ(a.Send(4, 1000, 80, kVsockOpShutdown), std::nullopt);
  while (b.sink.packets.size() < 2) b.Deliver();
  data.len = 6;
  EXPECT_EQ(b.sink.packets[0].header, data);
  EXPECT_EQ(b.sink.packets[0].payload, "across");
  EXPECT_EQ(b.sink.packets[1].header.op, kVsockOpShutdown);
}

TEST_F(ProcessLinksTest, AGuestOfTheSameProcessIsReachedDirectly) {
  TestGuest a(*one_, 3), b(*one_, 4), c(*two_, 5);
  Connect(a, b);
  Connect(c, b, 1000, 81);
  Connect(a, c, 1001, 81);
}

TEST_F(ProcessLinksTest, ALargePacketIsSplit) {
  TestGuest a(*one_, 3), b(*two_, 4);
  Connect(a, b);
  PacketHeader data = a.Header(4, 1000, 80, kVsockOpRw);
  data.flags = kVsockSeqEom;
  std::string payload;
  for (int i = 0; payload.size() < 200'000; ++i) absl::StrAppend(&payload, i);
  ASSERT_EQ(a.Send(data, payload), std::nullopt);
  std::string received;
  while (received.size() < payload.size()) {
    b.Deliver();
    for (const auto& packet : b.sink.packets) {
      received += packet.payload;
      EXPECT_EQ(packet.header.flags,
                received.size() == payload.size() ? kVsockSeqEom : 0);
    }
    b.sink.packets.clear();
  }
  EXPECT_EQ(received, payload);
}

TEST_F(ProcessLinksTest, NobodyIsReachedWhoIsNotThere) {
  TestGuest a(*one_, 3);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), VsockReset::kUnreachable);
  }
  EXPECT_EQ(a.Send(0xffffffff, 1, 2, kVsockOpRequest),
            VsockReset::kUnreachable);
  EXPECT_EQ(a.Send(~uint64_t{0}, 1, 2, kVsockOpRequest),
            VsockReset::kUnreachable);
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRst), std::nullopt);
  EXPECT_FALSE(a.SendDatagram(4, "x"));
  // One that is attached and does not run is not there either.
  const auto stopped = *two_->Attach(5, {}, NullLogSink());
  EXPECT_EQ(a.Send(5, 1, 2, kVsockOpRequest), VsockReset::kUnreachable);
}

TEST_F(ProcessLinksTest, ADeviceResetTellsTheOtherProcess) {
  TestGuest a(*one_, 3), b(*two_, 4);
  Connect(a, b);
  Connect(b, a, 2000, 90);
  b.Send(3, 80, 1000, kVsockOpRw, "last words");
  b.Reset();
  std::vector<uint16_t> ops = Await(a, 3);
  EXPECT_THAT(ops, ElementsAre(kVsockOpRw, kVsockOpRst, kVsockOpRst));
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, "x"), VsockReset::kUnknown);
  b.Start();
  // Until the time is over for which it was found to be unreachable.
  while (a.Send(4, 1000, 80, kVsockOpRequest)) ::sched_yield();
  EXPECT_THAT(Await(b, 1), ElementsAre(kVsockOpRequest));
}

TEST_F(ProcessLinksTest, ADestroyedDeviceLeavesNothingBehind) {
  TestGuest a(*one_, 3);
  {
    TestGuest b(*two_, 4);
    Connect(a, b);
  }
  EXPECT_THAT(Await(a, 1), ElementsAre(kVsockOpRst));
  std::vector<std::string> files;
  for (const auto& file :
       std::filesystem::directory_iterator(directory_.path())) {
    files.push_back(file.path().filename());
  }
  EXPECT_THAT(files, ::testing::UnorderedElementsAre("3", "3.lock"));
  TestGuest successor(*two_, 4);
  Connect(a, successor);
}

TEST_F(ProcessLinksTest, ResetsGoBehindTheDataOfTheirConnection) {
  TestGuest a(*one_, 3), b(*two_, 4);
  Connect(a, b);
  a.Send(4, 1000, 80, kVsockOpRw, "x");
  a.Send(4, 1000, 80, kVsockOpRst);
  a.Send(4, 1000, 80, kVsockOpRequest);
  EXPECT_THAT(Await(b, 3),
              ElementsAre(kVsockOpRw, kVsockOpRst, kVsockOpRequest));
}

TEST_F(ProcessLinksTest, ARefusedRequestIsAnsweredAcross) {
  TestGuest a(*one_, 3), b(*two_, 4, {.max_connections = 1});
  Connect(a, b, 1000, 80);
  ASSERT_EQ(a.Send(4, 1001, 80, kVsockOpRequest), std::nullopt);
  b.Deliver();
  EXPECT_THAT(Await(a, 1), ElementsAre(kVsockOpRst));
}

TEST_F(ProcessLinksTest, ASlowGuestIsWaitedForAsLongAsThereIsRoom) {
  TestGuest a(*one_, 3, {.max_bytes = 64 * kMiB}),
      b(*two_, 4, {.max_bytes = kMiB});
  Connect(a, b);
  b.sink.buffers = 0;
  const std::string payload(60'000, 'x');
  for (int i = 0; i < 200; ++i) {  // Far more than b's inbox and the socket.
    ASSERT_EQ(a.Send(4, 1000, 80, kVsockOpRw, payload), std::nullopt) << i;
    b.Deliver();
  }
  Settle({&a});
  EXPECT_FALSE(b.Deliver());
  b.Deliver();
  EXPECT_FALSE(b.Readable());  // Must not spin.
  b.sink.buffers = SIZE_MAX;
  size_t bytes = 0;
  b.Deliver();
  while (bytes < 200 * payload.size()) {
    Settle({&a, &b});
    for (const auto& packet : b.sink.packets) bytes += packet.payload.size();
    ASSERT_FALSE(b.sink.packets.empty());
    b.sink.packets.clear();
  }
  EXPECT_EQ(bytes, 200 * payload.size());
}

TEST_F(ProcessLinksTest, AProcessThatNeverReadsLosesTheConnectionAtBothEnds) {
  TestGuest a(*one_, 3, {.max_bytes = kMiB}), b(*two_, 4);
  Connect(a, b);
  const std::string payload(60'000, 'x');
  std::optional<VsockReset> refused;
  int sent = 0;
  for (; !refused && sent < 10'000; ++sent) {
    refused = a.Send(4, 1000, 80, kVsockOpRw, payload);
  }
  EXPECT_EQ(refused, VsockReset::kUnreachable);
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, "x"), VsockReset::kUnknown);
  b.sink.buffers = SIZE_MAX;
  while (b.sink.packets.empty() ||
         b.sink.packets.back().header.op != kVsockOpRst) {
    Settle({&a, &b});
    ASSERT_FALSE(b.sink.packets.empty());
  }
}

TEST_F(ProcessLinksTest, DatagramsPassAndAreLostWhenThereIsNoRoom) {
  TestGuest a(*one_, 3, {.max_bytes = kMiB}), b(*two_, 4);
  EXPECT_TRUE(a.SendDatagram(4, "one"));
  while (b.sink.packets.empty()) {
    b.port().Poll();
    EXPECT_TRUE(b.port().DeliverDatagrams(b.sink));
  }
  EXPECT_EQ(b.sink.packets[0].payload, "one");
  EXPECT_EQ(b.sink.packets[0].header.type, kVsockTypeDgram);
  bool lost = false;
  for (int i = 0; i < 10'000 && !lost; ++i) {
    lost = !a.SendDatagram(4, std::string(60'000, 'x'));
  }
  EXPECT_TRUE(lost);
}

TEST_F(ProcessLinksTest, ACallerThatIsNoDeviceIsHungUpOn) {
  TestGuest a(*one_, 3), b(*one_, 5);
  PacketHeader request = {.src_cid = 4,
                          .dst_cid = 3,
                          .src_port = 1,
                          .dst_port = 2,
                          .type = kVsockTypeStream,
                          .op = kVsockOpRequest};
  std::string version = Hello(4);
  version[8] = 2;
  std::string magic = Hello(4);
  magic[0] = 'A';
  for (const std::string& hello :
       {magic, version, Hello(4) + "x", Hello(4).substr(1), std::string("x"),
        Message(request), std::string(100'000, 'x'), Hello(2), Hello(3),
        Hello(5), Hello(0xffffffff), Hello(uint64_t{1} << 32)}) {
    const UniqueFd caller = Caller(3);
    Say(caller, hello);
    Settle({&a});
    EXPECT_TRUE(HungUp(caller)) << hello.size();
  }
  EXPECT_THAT(a.Ops(), IsEmpty());
}

TEST_F(ProcessLinksTest, AMessageThatIsNoPacketEndsTheLinkAndItsConnections) {
  TestGuest a(*one_, 3);
  const PacketHeader request = {.src_cid = 4,
                                .dst_cid = 3,
                                .src_port = 1,
                                .dst_port = 2,
                                .type = kVsockTypeStream,
                                .op = kVsockOpRequest};
  const auto with = [&request](auto change) {
    PacketHeader header = request;
    change(header);
    return header;
  };
  const std::vector<std::string> bad = {
      "x",
      Message(request).substr(0, 51),
      Message(request, "payload without len"),
      Message(with([](PacketHeader& h) { h.len = 1; })),
      Message(with([](PacketHeader& h) { h.len = 0xffffffff; })),
      Message(with([](PacketHeader& h) { h.len = 1; }), "x"),
      Message(with([](PacketHeader& h) { h.src_cid = 5; })),
      Message(with([](PacketHeader& h) { h.src_cid = kVsockHostCid; })),
      Message(with([](PacketHeader& h) { h.dst_cid = 4; })),
      Message(with([](PacketHeader& h) { h.type = 4; })),
      Message(with([](PacketHeader& h) { h.op = 0; })),
      Message(with([](PacketHeader& h) { h.op = 8; })),
      Message(with([](PacketHeader& h) { h.type = kVsockTypeDgram; })),
      Message(with([](PacketHeader& h) {
                h.op = kVsockOpRw;
                h.len = 65537;
              }),
              std::string(65537, 'x'))};
  for (size_t i = 0; i < bad.size(); ++i) {
    const UniqueFd caller = Caller(3);
    Say(caller, Hello(4));
    Say(caller, Message(request));
    Say(caller, bad[i]);
    Settle({&a});
    EXPECT_TRUE(HungUp(caller)) << i;
    EXPECT_THAT(a.sink.TakeOps(), ElementsAre(kVsockOpRequest, kVsockOpRst))
        << i;
  }
}

TEST_F(ProcessLinksTest, ManySilentCallersDoNotKeepOthersOut) {
  TestGuest a(*one_, 3), b(*two_, 4);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(Caller(3));
    a.Deliver();
  }
  int hung_up = 0;
  for (const UniqueFd& caller : silent) hung_up += HungUp(caller) ? 1 : 0;
  EXPECT_GE(hung_up, 60);
  EXPECT_FALSE(a.Readable());
  Connect(b, a);
}

TEST_F(ProcessLinksTest, OneThatOnlyTalksIsToldWithTheEndOfItsLink) {
  TestGuest a(*one_, 3);
  const UniqueFd caller = Caller(3);
  Say(caller, Hello(4));
  Say(caller, Message({.src_cid = 4,
                       .dst_cid = 3,
                       .src_port = 1,
                       .dst_port = 2,
                       .type = kVsockTypeStream,
                       .op = kVsockOpRequest}));
  EXPECT_THAT(Await(a, 1), ElementsAre(kVsockOpRequest));
  // There is no DIRECTORY/4 where the answer could go.
  EXPECT_EQ(a.Send(4, 2, 1, kVsockOpResponse), VsockReset::kUnreachable);
  Settle({&a});
  EXPECT_TRUE(HungUp(caller));
}

TEST_F(ProcessLinksTest, AnotherLinkOfTheSameCidDoesNotSpeakForTheFirst) {
  TestGuest a(*one_, 3), b(*two_, 4);
  Connect(b, a);
  const UniqueFd caller = Caller(3);
  Say(caller, Hello(4));
  Say(caller, Message({.src_cid = 4,
                       .dst_cid = 3,
                       .src_port = 1000,
                       .dst_port = 80,
                       .type = kVsockTypeStream,
                       .op = kVsockOpRw}));
  // It takes the place of the first, whose connections are over.
  EXPECT_THAT(Await(a, 1), ElementsAre(kVsockOpRst));
  EXPECT_THAT(Await(b, 1), ElementsAre(kVsockOpRst));
}

TEST_F(ProcessLinksTest, WithoutDescriptorsCallersAreHungUpOnAndNothingSpins) {
  TestGuest a(*one_, 3);
  const UniqueFd first = Caller(3), second = Caller(3);
  rlimit before = {};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(second.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::vector<UniqueFd> holes;
  for (;;) {
    UniqueFd hole(::dup(first.get()));
    if (!hole.valid()) break;
    holes.push_back(std::move(hole));
  }
  Settle({&a});
  const bool spins = a.Readable();
  holes.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(spins);
  EXPECT_TRUE(HungUp(second));
  TestGuest b(*two_, 4);
  Connect(b, a);
}

TEST_F(ProcessLinksTest, ATakenCidIsRefused) {
  TestGuest a(*one_, 3);
  EXPECT_EQ(two_->Attach(3, {}, NullLogSink()).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(one_->Attach(3, {}, NullLogSink()).status().code(),
            absl::StatusCode::kAlreadyExists);
  a.Destroy();
  EXPECT_TRUE(two_->Attach(3, {}, NullLogSink()).ok());
}

TEST_F(ProcessLinksTest, AStaleSocketIsReplacedAndAnythingElseIsNot) {
  const std::string path = directory_.Path("3");
  {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const UniqueFd stale(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&address),
                     sizeof(address)),
              0);
  }
  { TestGuest a(*one_, 3); }
  EXPECT_FALSE(std::filesystem::exists(path));
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_EQ(one_->Attach(3, {}, NullLogSink()).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ProcessLinksTest, TheSocketHasThePermissionsOfTheDirectory) {
  TestGuest a(*one_, 3);
  struct stat socket = {};
  ASSERT_EQ(::stat(directory_.Path("3").c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 0777, 0600u);
}

TEST_F(ProcessLinksTest, ABadDirectoryIsRefused) {
  const auto create = [](const std::string& directory) {
    return VsockSwitch::Create({.directory = directory}).status().code();
  };
  EXPECT_EQ(create(directory_.Path("missing")), absl::StatusCode::kNotFound);
  EXPECT_EQ(create("/dev/null"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(create(directory_.path() +
                   std::string(97 - directory_.path().size(), 'x')),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace annulus::virtio
