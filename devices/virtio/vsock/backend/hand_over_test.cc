#include "devices/virtio/vsock/backend/hand_over.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/hand_over_testing.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kBufAlloc = 64 * 1024;

int TypeOf(int fd) {
  int type = -1;
  socklen_t size = sizeof(type);
  EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
  return type;
}

class HandOverTest : public testing::Test {
 protected:
  HandOverTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    program_.reset(ends[1]);
  }

  UniqueFd ours_;
  UniqueFd program_;
};

TEST_F(HandOverTest, TheProgramHoldsTheOtherEnd) {
  for (const uint16_t type : {kVsockTypeStream, kVsockTypeSeqpacket}) {
    const HandOverMessage sent = {
        .guest_cid = uint64_t{3} << 40, .port = 0xfffffffe, .type = type};
    const auto socket = HandOver(ours_.get(), sent, kBufAlloc);
    ASSERT_TRUE(socket.ok()) << socket.status();
    HandOverMessage message;
    const UniqueFd theirs = TakeHandedOver(program_, message);
    ASSERT_TRUE(theirs.valid());
    EXPECT_EQ(std::memcmp(&message, &sent, sizeof(sent)), 0);
    const int wanted = type == kVsockTypeStream ? SOCK_STREAM : SOCK_SEQPACKET;
    EXPECT_EQ(TypeOf(socket->get()), wanted);
    EXPECT_EQ(TypeOf(theirs.get()), wanted);
    // Ours never waits; theirs is as a program expects it.
    EXPECT_NE(::fcntl(socket->get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(theirs.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(socket->get(), F_GETFD) & FD_CLOEXEC, 0);
    SendText(socket->get(), "ping");
    EXPECT_EQ(ReceiveText(theirs.get()), "ping");
    SendText(theirs.get(), "pong");
    EXPECT_EQ(ReceiveText(socket->get()), "pong");
  }
}

TEST_F(HandOverTest, APeerThatTakesNothingIsNotWaitedFor) {
  std::vector<UniqueFd> waiting;
  absl::Status status;
  while (status.ok()) {
    ASSERT_LT(waiting.size(), 100'000u);
    auto socket = HandOver(ours_.get(), {.type = kVsockTypeStream}, kBufAlloc);
    status = socket.status();
    if (socket.ok()) waiting.push_back(*std::move(socket));
  }
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_GT(waiting.size(), 16u);
  // Room for one is room for one.
  HandOverMessage message;
  ASSERT_TRUE(TakeHandedOver(program_, message).valid());
  EXPECT_TRUE(
      HandOver(ours_.get(), {.type = kVsockTypeStream}, kBufAlloc).ok());
  // Those that it took with it end.
  program_.reset();
  EXPECT_EQ(ReceiveText(waiting.back().get()), "");
}

TEST_F(HandOverTest, APeerThatIsGoneIsAnErrorAndNoSignal) {
  program_.reset();
  const absl::Status status =
      HandOver(ours_.get(), {.port = 5, .type = kVsockTypeStream}, kBufAlloc)
          .status();
  EXPECT_TRUE(absl::StrContains(status.message(), "connection to port 5"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "Broken pipe")) << status;
}

TEST_F(HandOverTest, OnlyConnectedSocketsOfMessagesWillDo) {
  EXPECT_TRUE(CheckHandOverSocket(ours_.get()).ok());
  const auto refused = [](const UniqueFd& fd) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckHandOverSocket(fd.get())));
  };
  refused(UniqueFd(::eventfd(0, EFD_CLOEXEC)));
  refused(UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)));
  refused(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  refused(UniqueFd(ends[0]));
  ::close(ends[1]);
}

}  // namespace
}  // namespace annulus::virtio
