// What a front-end can do wrong: each request truncated, too large, with wrong
// indices, in wrong order and with wrong descriptors.

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "memory/bus_errors.h"

namespace annulus::vhost_user {
namespace {

using R = Request;

Message MessageOf(R request, size_t bytes, std::vector<int> fds = {}) {
  Message message;
  message.request = static_cast<uint32_t>(request);
  message.flags = kVersion | kFlagNeedReply;
  message.size = static_cast<uint32_t>(bytes);
  for (const int fd : fds) message.fds.push_back(DuplicateFd(fd));
  return message;
}

template <typename T>
Message MessageWith(R request, const T& value, std::vector<int> fds = {}) {
  Message message = MessageOf(request, sizeof(value), std::move(fds));
  std::memcpy(message.payload.data(), &value, sizeof(value));
  return message;
}

struct Refused {
  const char* name;
  std::function<Message(TestFrontEnd&, TestQueue&)> message;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.name;
}

struct Single {
  uint64_t padding = 0;
  MemoryRegion region;
};

struct Table {
  uint32_t regions;
  uint32_t padding;
  std::array<MemoryRegion, 2> region;
};

#define CASE(name, ...)                                              \
  Refused {                                                          \
    name, [](TestFrontEnd& front_end, TestQueue& queue) -> Message { \
      (void)front_end;                                               \
      (void)queue;                                                   \
      __VA_ARGS__                                                    \
    }                                                                \
  }

std::vector<Refused> Cases() {
  return {
    CASE("NoSuchRequest", return MessageOf(static_cast<R>(99), 8);),
        CASE("RequestZero", return MessageOf(static_cast<R>(0), 0);),
        CASE("FeaturesTruncated", return MessageOf(R::kSetFeatures, 7);),
        CASE("FeaturesNotOffered",
             return MessageWith(R::kSetFeatures, ~uint64_t{0});),
        CASE("ProtocolFeaturesTruncated",
             return MessageOf(R::kSetProtocolFeatures, 4);),
        CASE("ProtocolFeaturesNotOffered",
             return MessageWith(R::kSetProtocolFeatures, ~uint64_t{0});),
        CASE("NumTruncated", return MessageOf(R::kSetVringNum, 7);),
        CASE("NumTooLong", return MessageOf(R::kSetVringNum, 9);),
        CASE("NumOfNoVring",
             return MessageWith(R::kSetVringNum, VringState{1, 16});),
        CASE("NumOfVring255",
             return MessageWith(R::kSetVringNum, VringState{255, 16});),
        CASE("NumOfVringMax",
             return MessageWith(R::kSetVringNum, VringState{UINT32_MAX, 16});),
        CASE("NumZero", return MessageWith(R::kSetVringNum, VringState{0, 0});),
        CASE("NumTooGreat",
             return MessageWith(R::kSetVringNum, VringState{0, 65535});),
        CASE("NumThatWraps",
             return MessageWith(R::kSetVringNum, VringState{0, 65536 + 16});),
        CASE("NumOfRunningVring",
             return MessageWith(R::kSetVringNum, VringState{0, 8});),
        CASE("BaseOfRunningVring",
             return MessageWith(R::kSetVringBase, VringState{0, 3});),
        CASE("BaseTruncated", return MessageOf(R::kSetVringBase, 4);),
        CASE("BaseOfNoVring",
             return MessageWith(R::kSetVringBase, VringState{1, 0});),
        CASE("AddrTruncated", return MessageOf(R::kSetVringAddr, 39);),
        CASE("AddrOfNoVring",
             return MessageWith(R::kSetVringAddr, VringAddress{.index = 1});),
        CASE("EnableTruncated", return MessageOf(R::kSetVringEnable, 0);),
        CASE("EnableOfNoVring",
             return MessageWith(R::kSetVringEnable, VringState{1, 1});),
        CASE("EnableTwo",
             return MessageWith(R::kSetVringEnable, VringState{0, 2});),
        CASE("EnableWithDescriptor",
             return MessageWith(R::kSetVringEnable, VringState{0, 1},
                                {queue.kick().fd()});),
        CASE("KickTruncated",
             return MessageOf(R::kSetVringKick, 4, {queue.kick().fd()});),
        CASE("KickWithoutDescriptor",
             return MessageWith(R::kSetVringKick, uint64_t{0});),
        CASE("KickWithDeniedDescriptor",
             return MessageWith(R::kSetVringKick, kVringNoFd,
                                {queue.kick().fd()});),
        CASE("KickOfVring255",
             return MessageWith(R::kSetVringKick, uint64_t{255},
                                {queue.kick().fd()});),
        CASE("KickWithTwoDescriptors",
             return MessageWith(R::kSetVringKick, uint64_t{0},
                                {queue.kick().fd(), queue.call().fd()});),
        CASE("KickWithEightDescriptors",
             return MessageWith(R::kSetVringKick, uint64_t{0},
                                std::vector<int>(8, queue.kick().fd()));),
        CASE("KickIsMemory", return MessageWith(R::kSetVringKick, uint64_t{0},
                                                {front_end.ram_fd()});),
        CASE("KickIsTheSocket",
             return MessageWith(R::kSetVringKick, uint64_t{0},
                                {front_end.socket()});),
        CASE("KickIsADevice",
             const UniqueFd zero(::open("/dev/zero", O_RDWR | O_CLOEXEC));
             return MessageWith(R::kSetVringKick, uint64_t{0}, {zero.get()});),
        CASE("CallIsAPipe", std::array<int, 2> fds = {};
             EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
             const UniqueFd in(fds[0]); const UniqueFd out(fds[1]);
             return MessageWith(R::kSetVringCall, uint64_t{0}, {out.get()});),
        CASE("CallIsTheSocket",
             return MessageWith(R::kSetVringCall, uint64_t{0},
                                {front_end.socket()});),
        CASE("KickIsATimer", const UniqueFd timer(::timerfd_create(
                                 CLOCK_MONOTONIC, TFD_CLOEXEC));
             return MessageWith(R::kSetVringKick, uint64_t{0}, {timer.get()});),
        CASE("KickIsAnEpollInstance",
             const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
             return MessageWith(R::kSetVringKick, uint64_t{0}, {epoll.get()});),
        CASE("CallOfNoVring", return MessageWith(R::kSetVringCall, uint64_t{1},
                                                 {queue.call().fd()});),
        CASE("ErrIsMemory", return MessageWith(R::kSetVringErr, uint64_t{0},
                                               {front_end.ram_fd()});),
        CASE("ErrTruncated", return MessageOf(R::kSetVringErr, 0);),
        CASE("TableTruncated", return MessageOf(R::kSetMemTable, 7);),
        CASE("TableWithoutRegions",
             return MessageWith(R::kSetMemTable, uint64_t{1});),
        CASE("TableOfTooMany",
             return MessageWith(R::kSetMemTable, uint64_t{9});),
        CASE("TableOfFourBillion",
             return MessageWith(R::kSetMemTable, uint64_t{UINT32_MAX});),
        CASE("TableWithoutDescriptors",
             return MessageWith(
                 R::kSetMemTable,
                 Table{2, 0, {front_end.Region(), front_end.Region()}});),
        CASE("TableOfOverlappingRegions",
             return MessageWith(
                 R::kSetMemTable,
                 Table{2, 0, {front_end.Region(), front_end.Region()}},
                 {front_end.ram_fd(), front_end.ram_fd()});),
        CASE("TableBeyondTheFile",
             Table table = {2, 0, {front_end.Region(), front_end.Region()}};
             table.region[1].guest_address = uint64_t{1} << 40;
             table.region[1].user_address = uint64_t{1} << 40;
             table.region[1].mmap_offset = 4096;
             return MessageWith(R::kSetMemTable, table,
                                {front_end.ram_fd(), front_end.ram_fd()});),
        CASE("TableOfAnEventfd",
             Table table = {2, 0, {front_end.Region(), front_end.Region()}};
             table.region[1].guest_address = uint64_t{1} << 40;
             table.region[1].user_address = uint64_t{1} << 40;
             return MessageWith(R::kSetMemTable, table,
                                {front_end.ram_fd(), queue.kick().fd()});),
        CASE("RegionTruncated",
             return MessageOf(R::kAddMemReg, 39, {front_end.ram_fd()});),
        CASE("RegionWithoutDescriptor",
             return MessageWith(R::kAddMemReg, Single{0, front_end.Region()});),
        CASE("RegionWhereAnotherIs", Single region = {0, front_end.Region()};
             region.region.mmap_offset += 4096;
             return MessageWith(R::kAddMemReg, region, {front_end.ram_fd()});),
        CASE("RegionThatWraps", Single region = {0, front_end.Region()};
             region.region.guest_address = UINT64_MAX - 4095;
             region.region.user_address = 0;
             return MessageWith(R::kAddMemReg, region, {front_end.ram_fd()});),
        CASE("RegionOfNothing", Single region = {0, front_end.Region()};
             region.region.size = 0; region.region.guest_address = 1ull << 40;
             region.region.user_address = 0;
             return MessageWith(R::kAddMemReg, region, {front_end.ram_fd()});),
        CASE("RemovedRegionIsNotThere", Single region = {0, front_end.Region()};
             region.region.guest_address = uint64_t{1} << 40;
             return MessageWith(R::kRemMemReg, region);),
        CASE("RemovedRegionTruncated", return MessageOf(R::kRemMemReg, 8);),
        CASE("LogFdIsMemory",
             return MessageOf(R::kSetLogFd, 0, {front_end.ram_fd()});),
        CASE("LogFdMissing", return MessageOf(R::kSetLogFd, 0);),
        CASE(
            "ConfigWritten",
            struct {
              ConfigDescription d;
              uint32_t v;
            } write = {{0, 4, 0}, 1};
            return MessageWith(R::kSetConfig, write);),
        CASE("ConfigTruncated", return MessageOf(R::kSetConfig, 11);),
        CASE("ConfigWithoutItsBytes",
             return MessageWith(R::kSetConfig, ConfigDescription{0, 8, 1});),
        CASE("ConfigThatWraps",
             return MessageWith(R::kSetConfig,
                                ConfigDescription{UINT32_MAX, UINT32_MAX, 1});),
        CASE("ChannelMissing", return MessageOf(R::kSetBackendReqFd, 0);),
        CASE("StatusTruncated", return MessageOf(R::kSetStatus, 1);),
        CASE("InflightTruncated",
             return MessageOf(R::kSetInflightFd, 8, {front_end.ram_fd()});),
        CASE("InflightWithoutDescriptor",
             return MessageWith(R::kSetInflightFd,
                                InflightDescription{4096, 0, 1, 16});),
        CASE("InflightTooSmall",
             return MessageWith(R::kSetInflightFd,
                                InflightDescription{16, 0, 1, 16},
                                {front_end.ram_fd()});),
        CASE("InflightBeyondTheFile",
             return MessageWith(
                 R::kSetInflightFd,
                 InflightDescription{UINT64_MAX, 1ull << 62, 1, 16},
                 {front_end.ram_fd()});),
        CASE(
            "InflightOfTooMany",
            return MessageWith(R::kSetInflightFd,
                               InflightDescription{1ull << 20, 0, 65535, 65535},
                               {front_end.ram_fd()});),
        CASE("MtuOfAnotherType",
             return MessageWith(R::kNetSetMtu, uint64_t{1500});),
        CASE("RarpOfAnotherType",
             return MessageWith(R::kSendRarp, uint64_t{0});),
  };
}

class HostileFrontEndTest : public ::testing::TestWithParam<Refused> {};

INSTANTIATE_TEST_SUITE_P(Requests, HostileFrontEndTest,
                         ::testing::ValuesIn(Cases()), [](const auto& info) {
                           return std::string(info.param.name);
                         });

TEST_P(HostileFrontEndTest, IsRefusedAndChangesNothing) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  ExpectServed(queue);
  ASSERT_TRUE(front_end.Send(GetParam().message(front_end, queue)));
  const std::optional<Message> reply = front_end.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->Payload<uint64_t>(), 1u);
  ExpectServed(queue);
}

TEST_P(HostileFrontEndTest, EndsTheSessionWhereNobodyListensToARefusal) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  Message message = GetParam().message(front_end, queue);
  message.flags = kVersion;
  ASSERT_TRUE(front_end.Send(message));
  EXPECT_TRUE(front_end.AwaitHangUp());
}

// The requests that have a reply of their own end the session at once.
TEST(HostileRequestTest, RequestsThatAnswerHaveNothingElseToSay) {
  const std::vector<Message (*)()> messages = {
      [] { return MessageOf(R::kGetVringBase, 7); },
      [] {
        return MessageWith(R::kGetVringBase, VringState{1, 0});
      },
      [] { return MessageOf(R::kGetInflightFd, 0); },
      [] {
        return MessageWith(R::kGetInflightFd,
                           InflightDescription{0, 0, 65535, 65535});
      },
      [] { return MessageWith(R::kGetInflightFd, InflightDescription{}); },
      [] { return MessageOf(R::kSetLogBase, 16); },
      [] { return MessageOf(R::kSetLogBase, 8); },
  };
  for (const auto& make : messages) {
    ServedFrontEnd served;
    served.front_end->Negotiate(FeaturesOf(true));
    ASSERT_TRUE(served.front_end->Send(make()));
    EXPECT_TRUE(served.front_end->AwaitHangUp());
  }
}

TEST(HostileRequestTest, ConfigErrorsHaveNoPayload) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  for (const ConfigDescription wanted :
       {ConfigDescription{0, 8, 0}, ConfigDescription{UINT32_MAX, 1, 0},
        ConfigDescription{256, 0, 1}, ConfigDescription{1, 256, 0}}) {
    ASSERT_TRUE(front_end.Send(MessageWith(R::kGetConfig, wanted)));
    const std::optional<Message> reply = front_end.Receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->size, wanted.offset == 256 ? sizeof(wanted) : 0u);
  }
}

TEST(HostileRequestTest, NothingIsServedThatWasNotNegotiated) {
  for (const R request : {R::kGetQueueNum, R::kGetConfig, R::kGetStatus,
                          R::kGetMaxMemSlots, R::kGetInflightFd}) {
    ServedFrontEnd served;
    ASSERT_TRUE(served.front_end->Send(request));
    EXPECT_TRUE(served.front_end->AwaitHangUp());
  }
}

TEST(HostileRequestTest, OrderDoesNoHarm) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  TestQueue queue(front_end, 0, {});
  ASSERT_TRUE(front_end.Send(R::kSetVringEnable, VringState{0, 1}));
  EXPECT_EQ(front_end.StopVring(0), 0u);  // Never started.
  EXPECT_EQ(front_end.StopVring(0), 0u);
  ASSERT_TRUE(front_end.Send(R::kResetOwner));
  front_end.Negotiate(FeaturesOf(true));
  front_end.Negotiate(FeaturesOf(false));
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  front_end.ShareMemory();
  queue.SetUp();
  ExpectServed(queue);
  // Another format under traffic: the queue breaks, and no more than that.
  front_end.Negotiate(FeaturesOf(false));
  EXPECT_TRUE(front_end.StopVring(0).has_value());
  EXPECT_TRUE(front_end.Get(R::kGetStatus).has_value());
}

// bad_inputs.md A8: "Ring addresses anywhere".
TEST(HostileRequestTest, RingAddressesAnywhereBreakTheirQueueAlone) {
  for (const uint64_t at :
       {uint64_t{0}, TestFrontEnd::kUserStart - 1, TestFrontEnd::kUserStart + 1,
        TestFrontEnd::kUserStart + TestFrontEnd::kRamBytes - 16,
        TestFrontEnd::kUserStart + TestFrontEnd::kRamBytes, UINT64_MAX - 15}) {
    for (const bool packed : {true, false}) {
      ServedFrontEnd served;
      TestFrontEnd& front_end = *served.front_end;
      front_end.Negotiate(FeaturesOf(packed));
      front_end.ShareMemory();
      TestQueue queue(front_end, 0, {.packed = packed});
      queue.SetUp();
      VringAddress address = queue.Addresses();
      address.descriptor = at;
      ASSERT_EQ(front_end.Ask(R::kSetVringAddr, address), 0u);
      address = queue.Addresses();
      address.used = address.available = at;
      ASSERT_EQ(front_end.Ask(R::kSetVringAddr, address), 0u);
      EXPECT_TRUE(front_end.Get(R::kGetStatus).has_value());
      EXPECT_TRUE(front_end.StopVring(0).has_value());
    }
  }
}

TEST(HostileRequestTest, SizesThatTheFormatDoesNotKnowBreakTheQueue) {
  for (const uint32_t size : {3u, 1u, 255u}) {
    ServedFrontEnd served;
    TestFrontEnd& front_end = *served.front_end;
    front_end.Negotiate(FeaturesOf(false));
    front_end.ShareMemory();
    TestQueue queue(front_end, 0, {.packed = false});
    ASSERT_EQ(front_end.Ask(R::kSetVringNum, VringState{0, size}), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringAddr, queue.Addresses()), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringErr, uint64_t{0}, {queue.error().fd()}),
              0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringEnable, VringState{0, 1}), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringKick, uint64_t{0}, {queue.kick().fd()}),
              0u);
    if (size != 1) queue.AwaitError();
    EXPECT_TRUE(front_end.StopVring(0).has_value());
  }
}

TEST(HostileConnectionTest, HangUpAtAnyByteServesTheNextFrontEnd) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({}, {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  std::array<uint8_t, 20> bytes = {};
  const std::array<uint32_t, 3> header = {
      static_cast<uint32_t>(R::kSetFeatures), kVersion, 8};
  std::memcpy(bytes.data(), header.data(), sizeof(header));
  for (size_t length = 0; length < bytes.size(); ++length) {
    const UniqueFd client = listener.Connect();
    ASSERT_EQ(::send(client.get(), bytes.data(), length, 0),
              static_cast<ssize_t>(length));
  }
  TestFrontEnd front_end(listener.Connect());
  EXPECT_TRUE(front_end.Get(R::kGetFeatures).has_value());
}

TEST(HostileConnectionTest, StopDoesNotWaitForAFrontEndThatReadsNoReply) {
  ServedFrontEnd served;
  ASSERT_EQ(::fcntl(served.front_end->socket(), F_SETFL, O_NONBLOCK), 0);
  const std::array<uint32_t, 3> header = {
      static_cast<uint32_t>(R::kGetFeatures), kVersion, 0};
  // Until both directions are full.
  pollfd room = {
      .fd = served.front_end->socket(), .events = POLLOUT, .revents = 0};
  while (::poll(&room, 1, 200) == 1) {
    if (::send(served.front_end->socket(), header.data(), sizeof(header),
               MSG_NOSIGNAL) < 0) {
      break;
    }
  }
  served.server->Stop();
}

TEST(HostileConnectionTest, StopDoesNotWaitForHalfAMessage) {
  ServedFrontEnd served;
  const uint32_t part = static_cast<uint32_t>(R::kSetFeatures);
  ASSERT_EQ(::send(served.front_end->socket(), &part, sizeof(part), 0),
            ssize_t{sizeof(part)});
  served.server->Stop();
}

TEST(HostileConnectionTest, UnreadConfigurationChangesHoldNobodyUp) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  auto [ours, theirs] = SocketPair();
  const int small = 1;
  ASSERT_EQ(
      ::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
      0);
  ASSERT_TRUE(front_end.Send(R::kSetBackendReqFd, {theirs.get()}));
  // Each is a queue that breaks, which the status shows.
  for (int i = 0; i < 300; ++i) {
    TestQueue queue(front_end, 0, {.size = 16});
    VringAddress address = queue.Addresses();
    address.used += 1;  // Not aligned.
    ASSERT_TRUE(front_end.Send(R::kSetVringNum, VringState{0, 16}));
    ASSERT_TRUE(front_end.Send(R::kSetVringAddr, address));
    ASSERT_TRUE(front_end.Send(R::kSetVringEnable, VringState{0, 1}));
    ASSERT_EQ(front_end.Ask(R::kSetVringKick, uint64_t{0}, {queue.kick().fd()}),
              0u);
    ASSERT_TRUE(front_end.StopVring(0).has_value());
  }
  EXPECT_NE(*front_end.Get(R::kGetStatus), 0u);
}

TEST(HostileDescriptorTest, KickThatIsMadeBlockingDoesNotHoldTheQueueUp) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  ASSERT_EQ(::fcntl(queue.kick().fd(), F_SETFL, 0), 0);
  for (int i = 0; i < 1000; ++i) {
    queue.Kick();
    (void)queue.kick().Drain();  // Sometimes before the worker does.
  }
  ExpectServed(queue);
  EXPECT_TRUE(front_end.StopVring(0).has_value());
}

// Its worker waits until somebody reads the eventfd, which nobody will.
void HoldWorkerUp(TestFrontEnd& front_end, TestQueue& queue) {
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  queue.SetUp();
  ExpectServed(queue);
  queue.driver().EnableCallbacks();
  (void)queue.call().Drain();
  const uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(::write(queue.call().fd(), &full, sizeof(full)),
            ssize_t{sizeof(full)});
  ASSERT_EQ(::fcntl(queue.call().fd(), F_SETFL, 0), 0);
  ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
  queue.Kick();
  while (!queue.driver().HasUsed()) ::sched_yield();
}

TEST(HostileDescriptorTest, CallThatIsFullAndBlockingDoesNotHoldStopUp) {
  ServedFrontEnd served;
  TestQueue queue(*served.front_end, 0, {});
  ASSERT_NO_FATAL_FAILURE(HoldWorkerUp(*served.front_end, queue));
  served.server->Stop();
}

TEST(HostileDescriptorTest, CallThatIsFullDoesNotHoldTheNextFrontEndUp) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({}, {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  TestFrontEnd front_end(listener.Connect());
  TestQueue queue(front_end, 0, {});
  ASSERT_NO_FATAL_FAILURE(HoldWorkerUp(front_end, queue));
  front_end.HangUp();
  TestFrontEnd next(listener.Connect());
  EXPECT_TRUE(next.Get(R::kGetFeatures).has_value());
  // It is told of what was used all the same.
  EXPECT_NE(queue.call().Drain(), 0u);
}

TEST(HostileMemoryTest, CutOffMemoryLosesItsOwnDeviceAlone) {
  ASSERT_TRUE(memory::HandleBusErrors().ok());
  ServedFrontEnd victim;
  ServedFrontEnd other;
  for (ServedFrontEnd* const served : {&victim, &other}) {
    served->front_end->Negotiate(FeaturesOf(true));
    served->front_end->ShareMemory();
  }
  TestQueue others(*other.front_end, 0, {});
  others.SetUp();
  ExpectServed(others);
  TestQueue queue(*victim.front_end, 0, {});
  queue.SetUp();
  ExpectServed(queue);
  ASSERT_TRUE(queue.driver().Chain().Writable(4096).Offer().has_value());
  ASSERT_EQ(::ftruncate(victim.front_end->ram_fd(), 0), 0);
  queue.Kick();
  EXPECT_TRUE(victim.front_end->AwaitHangUp());
  for (int i = 0; i < 10; ++i) ExpectServed(others);
}

}  // namespace
}  // namespace annulus::vhost_user
