// What a front-end can do to its connection: hang up anywhere, and read
// nothing.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/listener_testing.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

using R = Request;

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

}  // namespace
}  // namespace annulus::vhost_user
