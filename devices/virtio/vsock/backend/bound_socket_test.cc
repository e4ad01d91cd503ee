#include "devices/virtio/vsock/backend/bound_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class BoundSocketTest : public testing::Test {
 protected:
  const SocketDirectory directory_;
  const std::string path_ = directory_.Path("socket");
};

TEST_F(BoundSocketTest, ListensUntilItGoesAndTakesItsFileWithIt) {
  {
    auto bound = BoundSocket::Listen(SOCK_STREAM, path_);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_EQ(ConnectError(path_, SOCK_STREAM), 0);
    EXPECT_NE(::fcntl(bound->fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(bound->fd(), F_GETFD) & FD_CLOEXEC, 0);
    const BoundSocket moved = std::move(*bound);
    EXPECT_EQ(ConnectError(path_, SOCK_STREAM), 0);
  }
  EXPECT_TRUE(directory_.Files().empty());
}

// Lesson 30: EADDRINUSE after a process was killed.
TEST_F(BoundSocketTest, SocketThatNobodyHasOpenIsReplaced) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    ListenAt(path_, SOCK_STREAM, 1).reset();
    ASSERT_EQ(directory_.Files().size(), 1u);
    auto bound = BoundSocket::Bind(type, path_);
    EXPECT_TRUE(bound.ok()) << bound.status();
  }
}

TEST_F(BoundSocketTest, SocketInUseStays) {
  const UniqueFd other = ListenAt(path_, SOCK_STREAM, 0);
  const std::string reason = absl::StrCat("socket \"", path_, "\" open");
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    const auto bound = BoundSocket::Bind(type, path_);
    EXPECT_TRUE(absl::IsAlreadyExists(bound.status())) << bound.status();
    EXPECT_TRUE(absl::StrContains(bound.status().message(), reason));
  }
  // Neither does a full backlog look like nobody.
  while (ConnectError(path_, SOCK_STREAM) == 0) {
  }
  EXPECT_TRUE(
      absl::IsAlreadyExists(BoundSocket::Bind(SOCK_STREAM, path_).status()));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(BoundSocketTest, FileThatIsNoSocketStays) {
  std::ofstream(path_) << "precious";
  const auto bound = BoundSocket::Bind(SOCK_STREAM, path_);
  EXPECT_TRUE(absl::IsAlreadyExists(bound.status()));
  EXPECT_TRUE(absl::StrContains(bound.status().message(),
                                absl::StrCat(path_, "\" is there and is no")));
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(BoundSocketTest, LinkToASocketIsNoSocket) {
  const std::string target = directory_.Path("target");
  ListenAt(target, SOCK_STREAM, 1).reset();
  std::filesystem::create_symlink(target, path_);
  EXPECT_TRUE(
      absl::IsAlreadyExists(BoundSocket::Bind(SOCK_STREAM, path_).status()));
  EXPECT_TRUE(std::filesystem::exists(target));
}

TEST_F(BoundSocketTest, FileThatSomebodyElsePutThereStays) {
  auto first = BoundSocket::Listen(SOCK_STREAM, path_);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const UniqueFd other = ListenAt(path_, SOCK_STREAM, 1);
  *first = BoundSocket();
  EXPECT_EQ(ConnectError(path_, SOCK_STREAM), 0);
}

TEST_F(BoundSocketTest, ErrorsNameThePath) {
  const std::string path = directory_.Path("missing/socket");
  const auto bound = BoundSocket::Bind(SOCK_STREAM, path);
  EXPECT_TRUE(absl::IsNotFound(bound.status()));
  EXPECT_TRUE(absl::StrContains(bound.status().message(), path));
}

TEST_F(BoundSocketTest, AbstractNameIsOneProcessesAtATime) {
  const std::string name = absl::StrCat("@annulus-", ::getpid());
  {
    const auto bound = BoundSocket::Listen(SOCK_STREAM, name);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_EQ(ConnectError(name, SOCK_STREAM), 0);
    EXPECT_TRUE(
        absl::IsAlreadyExists(BoundSocket::Listen(SOCK_STREAM, name).status()));
  }
  EXPECT_EQ(ConnectError(name, SOCK_STREAM), ECONNREFUSED);
}

}  // namespace
}  // namespace annulus::virtio
