#include "devices/vhost_user/back_end/back_end_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/listener_testing.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

class BackEndServerTest : public ::testing::TestWithParam<bool> {
 protected:
  static bool packed() { return GetParam(); }

  // What a driver begins with after a reset: features, and rings of zeroes.
  static void BeginAnew(TestFrontEnd& front_end) {
    ASSERT_EQ(front_end.Ask(Request::kSetFeatures,
                            FeaturesOf(packed()) |
                                uint64_t{1} << kFeatureProtocolFeatures),
              0u);
    std::array<uint8_t, 0x1000> zeroes = {};
    ASSERT_TRUE(front_end.memory().Write(memory::GuestAddress(0x10000),
                                         absl::MakeConstSpan(zeroes)));
  }
};

INSTANTIATE_TEST_SUITE_P(Rings, BackEndServerTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Packed" : "Split";
                         });

TEST_P(BackEndServerTest, QueueIsServed) {
  ServedFrontEnd served;
  served.front_end->Negotiate(FeaturesOf(packed()));
  served.front_end->ShareMemory();
  TestQueue queue(*served.front_end, 0, {.packed = packed()});
  queue.SetUp();
  for (int i = 0; i < 100; ++i) ExpectServed(queue);
}

TEST_P(BackEndServerTest, OrderOfSettingsDoesNotMatter) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  TestQueue queue(front_end, 0, {.packed = packed()});
  ASSERT_TRUE(front_end.Send(Request::kSetVringEnable, queue.State(1)));
  ASSERT_TRUE(
      front_end.Send(Request::kSetVringKick, uint64_t{0}, {queue.kick().fd()}));
  ASSERT_TRUE(
      front_end.Send(Request::kSetVringCall, uint64_t{0}, {queue.call().fd()}));
  ASSERT_TRUE(front_end.Send(Request::kSetVringAddr, queue.Addresses()));
  ASSERT_TRUE(front_end.Send(Request::kSetVringNum, queue.State(16)));
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  ExpectServed(queue);
}

TEST_P(BackEndServerTest, StoppedQueueGoesOnWhereItWas) {
  ServedFrontEnd served;
  served.front_end->Negotiate(FeaturesOf(packed()));
  served.front_end->ShareMemory();
  TestQueue queue(*served.front_end, 0, {.packed = packed()});
  queue.SetUp();
  for (int i = 0; i < 5; ++i) ExpectServed(queue);
  const std::optional<uint32_t> base = served.front_end->StopVring(0);
  EXPECT_EQ(base, packed() ? 0x80058005u : 5u);
  queue.SetUp(base);
  for (int i = 0; i < 50; ++i) ExpectServed(queue);
}

// QEMU 7.2 resets the status of a device that it stops, and then asks where the
// queues are: what it takes to another host is this.
TEST_P(BackEndServerTest, QueueOfADeviceThatWasResetSaysWhereItWas) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {.packed = packed()});
  queue.SetUp();
  for (int i = 0; i < 5; ++i) ExpectServed(queue);
  ASSERT_EQ(front_end.Ask(Request::kSetStatus, uint64_t{0}), 0u);
  const std::optional<uint32_t> base = front_end.StopVring(0);
  EXPECT_EQ(base, packed() ? 0x80058005u : 5u);
  ASSERT_EQ(front_end.Ask(
                Request::kSetFeatures,
                FeaturesOf(packed()) | uint64_t{1} << kFeatureProtocolFeatures),
            0u);
  queue.SetUp(base);
  for (int i = 0; i < 50; ++i) ExpectServed(queue);
}

// DPDK's virtio-user says nothing of used descriptors.
TEST(BackEndServerPackedTest, BaseWithoutUsedPositionIsWhatIsAvailable) {
  ServedFrontEnd served;
  served.front_end->Negotiate(FeaturesOf(true));
  served.front_end->ShareMemory();
  TestQueue queue(*served.front_end, 0, {.packed = true});
  queue.SetUp(0x8000);
  for (int i = 0; i < 50; ++i) ExpectServed(queue);
}

TEST_P(BackEndServerTest, QueueWithoutKickIsPolled) {
  ServedFrontEnd served;
  served.front_end->Negotiate(FeaturesOf(packed()));
  served.front_end->ShareMemory();
  TestQueue queue(*served.front_end, 0, {.packed = packed()});
  queue.SetUp();
  ASSERT_EQ(served.front_end->Ask(Request::kSetVringKick, kVringNoFd), 0u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
    EXPECT_EQ(queue.AwaitUsed().len, 16u);
  }
}

TEST_P(BackEndServerTest, CallMayBeReplacedAtAnyTime) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {.packed = packed()});
  queue.SetUp();
  const EventFd other = EventFd::Create().value();
  for (int i = 0; i < 20; ++i) {
    const int fd = i % 2 == 0 ? other.fd() : queue.call().fd();
    ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
    queue.Kick();
    ASSERT_EQ(front_end.Ask(Request::kSetVringCall, uint64_t{0}, {fd}), 0u);
    // The new one is told, whoever was there when the buffer was used.
    pollfd told = {.fd = fd, .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&told, 1, -1), 1);
    ASSERT_EQ(
        front_end.Ask(Request::kSetVringCall, uint64_t{0}, {queue.call().fd()}),
        0u);
    EXPECT_EQ(queue.AwaitUsed().len, 16u);
  }
}

TEST_P(BackEndServerTest, RegionsComeAndGoUnderTraffic) {
  struct SingleRegion {
    uint64_t padding = 0;
    MemoryRegion region;
  };
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  EXPECT_EQ(front_end.Get(Request::kGetMaxMemSlots), 509u);
  const SingleRegion all = {.region = front_end.Region()};
  ASSERT_EQ(front_end.Ask(Request::kAddMemReg, all, {front_end.ram_fd()}), 0u);
  TestQueue queue(front_end, 0, {.packed = packed()});
  queue.SetUp();
  SingleRegion more = all;
  more.region.guest_address = more.region.user_address = uint64_t{1} << 40;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
    queue.Kick();
    const Request request =
        i % 2 == 0 ? Request::kAddMemReg : Request::kRemMemReg;
    ASSERT_EQ(front_end.Ask(request, more, {front_end.ram_fd()}), 0u);
    EXPECT_EQ(queue.AwaitUsed().len, 16u);
    // And that of the rings: the queue waits for it.
    ASSERT_EQ(front_end.Ask(Request::kRemMemReg, all), 0u);
    ASSERT_TRUE(queue.driver().Chain().Writable(8).Offer().has_value());
    queue.Kick();
    ASSERT_EQ(front_end.Ask(Request::kAddMemReg, all, {front_end.ram_fd()}),
              0u);
    EXPECT_EQ(queue.AwaitUsed().len, 8u);
  }
}

TEST_P(BackEndServerTest, WritesAreLoggedWhileThatIsAskedFor) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {.packed = packed()});
  queue.SetUp();
  const UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(log.get(), 4096), 0);
  const auto marked = [&log] {
    std::array<uint8_t, 4096> bytes;
    EXPECT_EQ(::pread(log.get(), bytes.data(), bytes.size(), 0), 4096);
    size_t bits = 0;
    for (const uint8_t byte : bytes) bits += std::popcount(byte);
    return bits;
  };
  ASSERT_TRUE(front_end.Send(Request::kSetLogBase,
                             LogDescription{.size = 4096, .offset = 0},
                             {log.get()}));
  ASSERT_TRUE(front_end.Receive().has_value());
  ExpectServed(queue);
  EXPECT_EQ(marked(), 0u);
  const uint64_t features =
      FeaturesOf(packed()) | uint64_t{1} << kFeatureProtocolFeatures;
  ASSERT_EQ(front_end.Ask(Request::kSetFeatures,
                          features | uint64_t{1} << kFeatureLogAll),
            0u);
  ExpectServed(queue);
  const size_t now = marked();
  EXPECT_GE(now, 1u);
  EXPECT_EQ(front_end.Ask(Request::kSetFeatures, features), 0u);
  ASSERT_EQ(::ftruncate(log.get(), 0), 0);
  ASSERT_EQ(::ftruncate(log.get(), 4096), 0);
}

TEST_P(BackEndServerTest, ViolationIsToldByErrorAndStatus) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  auto [ours, theirs] = SocketPair();
  ASSERT_EQ(front_end.Send(Request::kSetBackendReqFd, {theirs.get()}), true);
  TestQueue queue(front_end, 0, {.packed = packed()});
  queue.SetUp();
  EXPECT_EQ(front_end.Get(Request::kGetStatus), 0u);
  // An available index far ahead, or a chain that does not end.
  const uint64_t at = packed() ? queue.driver().config().descriptor.value()
                               : queue.driver().config().driver.value();
  std::array<uint8_t, 16> broken = {};
  broken[2] = 0xff;
  broken[3] = 0x7f;
  if (packed()) broken = {0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0x80};
  ASSERT_TRUE(front_end.memory().Write(memory::GuestAddress(at),
                                       absl::MakeConstSpan(broken)));
  queue.Kick();
  queue.AwaitError();
  // The configuration change comes after the status.
  TestFrontEnd channel(std::move(ours));
  const std::optional<Message> change = channel.Receive();
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->request, 2u);
  EXPECT_EQ(front_end.Get(Request::kGetStatus),
            uint64_t{virtio::kStatusDeviceNeedsReset});
  ASSERT_EQ(front_end.Ask(Request::kSetStatus, uint64_t{0}), 0u);
  EXPECT_EQ(front_end.Get(Request::kGetStatus), 0u);
}

TEST_P(BackEndServerTest, DeviceThatWasResetServesANewDriver) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  for (const bool by_status : {true, false}) {
    TestQueue queue(front_end, 0, {.packed = packed()});
    queue.SetUp();
    for (int i = 0; i < 5; ++i) ExpectServed(queue);
    if (by_status) {
      ASSERT_EQ(front_end.Ask(Request::kSetStatus, uint64_t{0}), 0u);
    } else {
      ASSERT_TRUE(front_end.Send(Request::kResetDevice));
    }
    ASSERT_NO_FATAL_FAILURE(BeginAnew(front_end));
  }
}

TEST(BackEndStatusTest, FeaturesThatAreNotAcceptedLeaveFeaturesOkClear) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  const uint64_t offered = *front_end.Get(Request::kGetFeatures);
  EXPECT_NE(offered >> kFeatureLogAll & 1, 0u);
  EXPECT_NE(offered >> kFeatureProtocolFeatures & 1, 0u);
  front_end.Negotiate(FeaturesOf(true));
  constexpr uint64_t kOk = virtio::kStatusAcknowledge | virtio::kStatusDriver |
                           virtio::kStatusFeaturesOk;
  ASSERT_EQ(front_end.Ask(Request::kSetStatus, kOk), 0u);
  EXPECT_EQ(front_end.Get(Request::kGetStatus), kOk);
  // Of before VERSION_1.
  ASSERT_TRUE(front_end.Send(Request::kSetFeatures, uint64_t{0}));
  ASSERT_EQ(front_end.Ask(Request::kSetStatus, kOk), 0u);
  EXPECT_EQ(front_end.Get(Request::kGetStatus),
            kOk & ~uint64_t{virtio::kStatusFeaturesOk});
}

TEST(BackEndInflightTest, BufferIsMadeTakenAndUsed) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  ASSERT_TRUE(
      front_end.Send(Request::kGetInflightFd,
                     InflightDescription{.num_queues = 1, .queue_size = 16}));
  const std::optional<Message> reply = front_end.Receive();
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ(reply->fds.size(), 1u);
  const auto buffer = reply->Payload<InflightDescription>();
  ASSERT_TRUE(buffer.has_value());
  const int fd = reply->fds[0].get();
  ASSERT_EQ(front_end.Ask(Request::kSetInflightFd, *buffer, {fd}), 0u);
  TestQueue queue(front_end, 0, {.packed = true});
  queue.SetUp();
  ExpectServed(queue);
  uint16_t version = 0;
  ASSERT_EQ(::pread(fd, &version, sizeof(version), 8), 2);
  EXPECT_EQ(version, 1);
}

// The front-end is one that remembers nothing, and its back-end ends without
// being asked where it was.
TEST_P(BackEndServerTest, StateFileTellsTheNextProcessWhereToGoOn) {
  const UniqueFd state(::memfd_create("state", MFD_CLOEXEC));
  ServedFrontEnd served(MakeRng(), DuplicateFd(state.get()));
  TestFrontEnd& front_end = *served.front_end;
  TestQueue queue(front_end, 0, {.packed = packed()});
  for (int process = 0; process < 3; ++process) {
    front_end.Negotiate(FeaturesOf(packed()));
    front_end.ShareMemory();
    queue.SetUp();
    for (int i = 0; i < 7; ++i) ExpectServed(queue);
    served.server->Stop();
    auto [theirs, ours] = SocketPair();
    served.server =
        BackEndServer::Create({.state_file = DuplicateFd(state.get())},
                              {.connection = std::move(theirs)}, MakeRng(),
                              NullLogSink())
            .value();
    front_end.Reconnect(std::move(ours));
  }
}

// A full file system is found out before it matters.
TEST(BackEndStateFileTest, FileHasItsBlocksFromTheStart) {
  const UniqueFd state(::memfd_create("state", MFD_CLOEXEC));
  const ServedFrontEnd served(MakeRng(), DuplicateFd(state.get()));
  struct stat about = {};
  ASSERT_EQ(::fstat(state.get(), &about), 0);
  EXPECT_GT(about.st_size, 0);
  EXPECT_GE(512 * about.st_blocks, about.st_size);
}

// A front-end that does not know where the queue was, as DPDK's, and a back-end
// that does not, either: the split ring tells.
TEST(BackEndServerSplitTest, UsedRingSaysWhereToGoOn) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  TestQueue queue(front_end, 0, {.packed = false});
  for (int process = 0; process < 3; ++process) {
    front_end.Negotiate(FeaturesOf(false));
    front_end.ShareMemory();
    queue.SetUp(0);
    for (int i = 0; i < 21; ++i) ExpectServed(queue);
    served.server->Stop();
    auto [theirs, ours] = SocketPair();
    served.server = BackEndServer::Create({}, {.connection = std::move(theirs)},
                                          MakeRng(), NullLogSink())
                        .value();
    front_end.Reconnect(std::move(ours));
  }
}

// Its ring may lie where that of the last one was, and look as if the queue had
// been in the middle of it.
TEST_P(BackEndServerTest, StateFileSaysNothingToTheDriverAfterAReset) {
  const UniqueFd state(::memfd_create("state", MFD_CLOEXEC));
  ServedFrontEnd served(MakeRng(), DuplicateFd(state.get()));
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(packed()));
  front_end.ShareMemory();
  for (int driver = 0; driver < 3; ++driver) {
    TestQueue queue(front_end, 0, {.packed = packed()});
    // Buffers before the queue starts, as a network device's driver has them.
    for (int i = 0; i < 12; ++i) {
      ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
    }
    queue.SetUp();
    queue.Kick();
    for (int i = 0; i < 12; ++i) EXPECT_EQ(queue.AwaitUsed().len, 16u);
    for (int i = 0; i < 5 - driver; ++i) ExpectServed(queue);
    ASSERT_EQ(front_end.Ask(Request::kSetStatus, uint64_t{0}), 0u);
    ASSERT_NO_FATAL_FAILURE(BeginAnew(front_end));
  }
}

TEST(BackEndEndpointTest, SecondFrontEndWaitsForTheFirstToGo) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({}, {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  TestFrontEnd first(listener.Connect());
  first.Negotiate(FeaturesOf(true));
  TestFrontEnd second(listener.Connect());
  ASSERT_TRUE(second.Send(Request::kGetFeatures));
  first.ShareMemory();
  TestQueue queue(first, 0, {});
  queue.SetUp();
  ExpectServed(queue);
  pollfd quiet = {.fd = second.socket(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&quiet, 1, 0), 0);
  first.HangUp();
  EXPECT_TRUE(second.Receive().has_value());
}

TEST(BackEndEndpointTest, ConnectingBackEndComesBack) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({.reconnect_delay = absl::Milliseconds(1)},
                            {.connect_path = listener.path}, MakeRng(),
                            NullLogSink())
          .value();
  for (int i = 0; i < 3; ++i) {
    UniqueFd connection(
        ::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(connection.valid());
    TestFrontEnd front_end(std::move(connection));
    front_end.Negotiate(FeaturesOf(true));
    front_end.ShareMemory();
    TestQueue queue(front_end, 0, {});
    queue.SetUp();
    ExpectServed(queue);
  }
}

TEST(BackEndEndpointTest, AbstractSocketIsConnectedTo) {
  const std::string path = absl::StrCat("@annulus-vu-test.", ::getpid());
  const UniqueFd listener = virtio::ListenAt(path, SOCK_STREAM, 1);
  const auto server = BackEndServer::Create({}, {.connect_path = path},
                                            MakeRng(), NullLogSink())
                          .value();
  pollfd waits = {.fd = listener.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&waits, 1, 10'000), 1);
  TestFrontEnd front_end(
      UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  EXPECT_TRUE(front_end.Get(Request::kGetFeatures).has_value());
}

TEST(BackEndEndpointTest, PathThatIsNoSocketsIsRefused) {
  for (const std::string& path : {std::string("@"), std::string(200, 'x')}) {
    EXPECT_EQ(BackEndServer::Create({}, {.connect_path = path}, MakeRng(),
                                    NullLogSink())
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// No front-end can come any more, whoever looks at the process has to know.
TEST(BackEndEndpointTest, SocketThatIsGoneFailsTheServer) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({.name = "uplink"},
                            {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  {
    const TestFrontEnd front_end(listener.Connect());
    EXPECT_TRUE(server->failure().ok());
  }
  ASSERT_EQ(::shutdown(listener.fd.get(), SHUT_RDWR), 0);
  pollfd finished = {
      .fd = server->finished_fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&finished, 1, -1), 1);
  for (int i = 0; i < 2; ++i) {
    const absl::Status failure = server->failure();
    EXPECT_FALSE(failure.ok());
    for (const std::string& part :
         {std::string("uplink"), listener.path, std::string("shutdown")}) {
      EXPECT_TRUE(absl::StrContains(failure.message(), part)) << failure;
    }
    server->Stop();
  }
}

TEST(BackEndEndpointTest, GivenConnectionThatEndsFinishesTheServer) {
  ServedFrontEnd served;
  served.front_end->Negotiate(FeaturesOf(true));
  pollfd finished = {
      .fd = served.server->finished_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&finished, 1, 0), 0);
  served.front_end->HangUp();
  EXPECT_EQ(::poll(&finished, 1, -1), 1);
  EXPECT_TRUE(served.server->failure().ok());
}

TEST(BackEndEndpointTest, WhatIsNoSocketIsRefused) {
  std::array<int, 2> pipe = {};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd write_end(pipe[1]);
  EXPECT_FALSE(BackEndServer::Create({}, {.listener = UniqueFd(pipe[0])},
                                     MakeRng(), NullLogSink())
                   .ok());
  auto [ours, theirs] = SocketPair();
  EXPECT_EQ(BackEndServer::Create({}, {.listener = std::move(ours)}, MakeRng(),
                                  NullLogSink())
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      BackEndServer::Create({}, {}, MakeRng(), NullLogSink()).status().code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace annulus::vhost_user
