#include "devices/virtio/vsock/backend/unix_sockets.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class UnixSocketsTest : public testing::Test {
 protected:
  UnixSocketOptions Options() const {
    UnixSocketOptions options;
    options.path = path_;
    return options;
  }

  static UnixPortMap Map(bool to_guest, uint32_t port, std::string path) {
    UnixPortMap map;
    map.port = port;
    map.to_guest = to_guest;
    map.type = kVsockTypeStream;
    map.path = std::move(path);
    return map;
  }

  void ExpectError(UnixSocketOptions options, absl::StatusCode code,
                   absl::string_view part) {
    const std::vector<std::string> before = directory_.Files();
    const auto sockets = UnixSockets::Open(std::move(options));
    EXPECT_EQ(sockets.status().code(), code) << sockets.status();
    EXPECT_TRUE(absl::StrContains(sockets.status().message(), part))
        << sockets.status();
    EXPECT_EQ(directory_.Files(), before);
  }

  const SocketDirectory directory_;
  const std::string path_ = directory_.Path("vm");
};

TEST_F(UnixSocketsTest, FilesComeAndGo) {
  UnixSocketOptions options = Options();
  options.seqpacket = true;
  options.dgram = true;
  options.ports.push_back(Map(true, 80, directory_.Path("http")));
  options.ports.push_back(Map(false, 81, directory_.Path("log")));
  {
    auto sockets = UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    EXPECT_EQ(
        directory_.Files(),
        (std::vector<std::string>{"http", "vm", "vm_dgram", "vm_seqpacket"}));
    const UnixSockets moved = std::move(*sockets);
    EXPECT_EQ(ConnectError(path_, SOCK_STREAM), 0);
    EXPECT_EQ(ConnectError(path_ + "_seqpacket", SOCK_SEQPACKET), 0);
    EXPECT_EQ(ConnectError(path_ + "_dgram", SOCK_DGRAM), 0);
    EXPECT_EQ(ConnectError(directory_.Path("http"), SOCK_STREAM), 0);
  }
  EXPECT_TRUE(directory_.Files().empty());
}

TEST_F(UnixSocketsTest, PathHasRoomForItsLongestSuffix) {
  UnixSocketOptions options = Options();
  options.path.append(97 - path_.size(), 'a');
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              absl::StrCat("aaa\" has 108 bytes with the suffix _4294967295, "
                           "1 more"));
  options = Options();
  options.path.append(96 - path_.size(), 'a');
  EXPECT_TRUE(UnixSockets::Open(std::move(options)).ok());
  options = Options();
  options.path.append(91 - path_.size(), 'a');
  options.dgram = true;
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              "108 bytes with the suffix _dgram_4294967295, 1 more");
}

// Lesson 30.
TEST_F(UnixSocketsTest, StaleSocketsOfAllKindsAreReplaced) {
  ListenAt(path_, SOCK_STREAM, 1).reset();
  ListenAt(path_ + "_seqpacket", SOCK_SEQPACKET, 1).reset();
  BindTo(path_ + "_dgram", SOCK_DGRAM).reset();
  UnixSocketOptions options = Options();
  options.seqpacket = true;
  options.dgram = true;
  const auto sockets = UnixSockets::Open(std::move(options));
  EXPECT_TRUE(sockets.ok()) << sockets.status();
}

TEST_F(UnixSocketsTest, FileInTheWayIsNamedAndLeavesNothingHalfOpen) {
  std::ofstream(path_ + "_seqpacket") << "precious";
  UnixSocketOptions options = Options();
  options.seqpacket = true;
  ExpectError(std::move(options), absl::StatusCode::kAlreadyExists,
              path_ + "_seqpacket");
}

TEST_F(UnixSocketsTest, TwoDevicesCannotHaveTheSamePath) {
  const auto first = UnixSockets::Open(Options());
  ASSERT_TRUE(first.ok());
  ExpectError(Options(), absl::StatusCode::kAlreadyExists, path_);
}

TEST_F(UnixSocketsTest, HostPortsAreMappedOrMadeOfThePath) {
  UnixSocketOptions options = Options();
  options.ports.push_back(Map(false, 80, "/run/http"));
  const auto sockets = UnixSockets::Open(std::move(options));
  ASSERT_TRUE(sockets.ok());
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 80), "/run/http");
  EXPECT_EQ(sockets->HostPath(kVsockTypeSeqpacket, 80), path_ + "_80");
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 81), path_ + "_81");
}

TEST_F(UnixSocketsTest, WithoutAPathThereAreOnlyMappedPorts) {
  UnixSocketOptions options;
  options.ports.push_back(Map(false, 80, "@http"));
  const auto sockets = UnixSockets::Open(std::move(options));
  ASSERT_TRUE(sockets.ok());
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 80), "@http");
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 81), std::nullopt);
  EXPECT_TRUE(sockets->listeners().empty());
  options = {};
  options.dgram = true;
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument, "path");
}

TEST_F(UnixSocketsTest, PortMapsThatMakeNoSense) {
  const auto refused = [this](UnixPortMap map, absl::string_view part) {
    UnixSocketOptions options;
    options.ports.push_back(std::move(map));
    ExpectError(std::move(options), absl::StatusCode::kInvalidArgument, part);
  };
  refused(Map(true, 80, ""), "port 80: needs either a path or a descriptor");
  UnixPortMap map = Map(true, 80, path_);
  map.fd = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  refused(std::move(map), "port 80: needs either a path or a descriptor");
  map = Map(true, 80, path_);
  map.type = kVsockTypeDgram;
  refused(std::move(map), "port 80: type 3 is neither");
  map = Map(false, 80, "");
  map.fd = ListenAt("@annulus-fd", SOCK_STREAM, 1);
  refused(std::move(map), "is not a connected unix socket");
  refused(Map(false, 80, std::string(108, 'a')), "too long");
  UnixSocketOptions options;
  options.ports.push_back(Map(false, 80, "/run/a"));
  options.ports.push_back(Map(false, 80, "/run/b"));
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              "port 80 of the host is given both \"/run/a\" and \"/run/b\"");
}

// One end of a hand-over socket; the other one is not needed here.
UniqueFd HandOverEnd() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  ::close(ends[1]);
  return UniqueFd(ends[0]);
}

TEST_F(UnixSocketsTest, HandOverSocketsTakeThePlaceOfPaths) {
  UnixSocketOptions options = Options();
  options.host = HandOverEnd();
  const int host = options.host.get();
  options.ports.push_back(Map(false, 80, "/run/http"));
  options.ports.push_back(Map(false, 81, ""));
  options.ports.back().fd = HandOverEnd();
  const int own = options.ports.back().fd.get();
  const auto sockets = UnixSockets::Open(std::move(options));
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_EQ(sockets->HandOverSocket(kVsockTypeStream, 80), -1);
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 80), "/run/http");
  EXPECT_EQ(sockets->HandOverSocket(kVsockTypeStream, 81), own);
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 81), std::nullopt);
  EXPECT_EQ(sockets->HandOverSocket(kVsockTypeSeqpacket, 81), host);
  EXPECT_EQ(sockets->HandOverSocket(kVsockTypeStream, 82), host);
  EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 82), std::nullopt);
  for (const int fd : {host, own}) {
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(UnixSocketsTest, APortIsHandedOverOrConnectedTo) {
  UnixSocketOptions options;
  options.ports.push_back(Map(false, 80, "/run/a"));
  options.ports.push_back(Map(false, 80, ""));
  options.ports.back().fd = HandOverEnd();
  const int fd = options.ports.back().fd.get();
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              absl::StrCat("port 80 of the host is given both \"/run/a\" and "
                           "descriptor ",
                           fd));
  options = {};
  options.host = ListenAt("@annulus-hand-over", SOCK_SEQPACKET, 1);
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              "is not a connected unix socket of SOCK_SEQPACKET");
}

TEST_F(UnixSocketsTest, PassedListenerStaysAsOthersKnowIt) {
  const UniqueFd listener = ListenAt(path_, SOCK_STREAM, 1);
  const int flags = ::fcntl(listener.get(), F_GETFL);
  EXPECT_EQ(flags & O_NONBLOCK, 0);
  {
    UnixSocketOptions options = Options();
    options.listener = UniqueFd(::dup(listener.get()));
    const int passed = options.listener.get();
    const auto sockets = UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    ASSERT_EQ(sockets->listeners().size(), 1u);
    EXPECT_EQ(sockets->listeners()[0].fd(), passed);
    EXPECT_NE(::fcntl(passed, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 5), path_ + "_5");
  }
  // Else accept4() might wait, if somebody else was faster.
  EXPECT_EQ(::fcntl(listener.get(), F_GETFL), flags | O_NONBLOCK);
  EXPECT_EQ(ConnectError(path_, SOCK_STREAM), 0);
}

TEST_F(UnixSocketsTest, PassedDescriptorsOfOtherKindsAreRefused) {
  const auto refused = [this](UniqueFd fd, absl::string_view part) {
    UnixSocketOptions options = Options();
    options.listener = std::move(fd);
    ExpectError(std::move(options), absl::StatusCode::kInvalidArgument, part);
  };
  refused(UniqueFd(::eventfd(0, EFD_CLOEXEC)), "is no socket");
  refused(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
          "is no unix socket of type SOCK_STREAM");
  refused(ListenAt("@annulus-seqpacket", SOCK_SEQPACKET, 1),
          "is no unix socket of type SOCK_STREAM");
  refused(UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
          "is a socket that does not listen");
  UnixSocketOptions options;
  options.ports.push_back(Map(true, 80, ""));
  options.ports.back().type = kVsockTypeSeqpacket;
  options.ports.back().fd = ListenAt("@annulus-stream", SOCK_STREAM, 1);
  ExpectError(std::move(options), absl::StatusCode::kInvalidArgument,
              "is no unix socket of type SOCK_SEQPACKET");
}

TEST_F(UnixSocketsTest, AbstractNames) {
  UnixSocketOptions options;
  options.path = absl::StrCat("@annulus-", ::getpid());
  const std::string name = options.path;
  options.seqpacket = true;
  {
    const auto sockets = UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    EXPECT_EQ(ConnectError(name, SOCK_STREAM), 0);
    EXPECT_EQ(ConnectError(name + "_seqpacket", SOCK_SEQPACKET), 0);
    EXPECT_EQ(sockets->HostPath(kVsockTypeStream, 5), name + "_5");
  }
  EXPECT_EQ(ConnectError(name, SOCK_STREAM), ECONNREFUSED);
}

}  // namespace
}  // namespace annulus::virtio
