#include "vmm/vhost_user_resources.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

std::string ErrorOf(const VhostUserConfig& config) {
  return std::string(OpenVhostUser("rng[0]", config).status().message());
}

bool IsSocket(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

class VhostUserResourcesTest : public ::testing::Test {
 protected:
  VhostUserResourcesTest()
      : path_(absl::StrCat("/tmp/annulus_vhost_user_", ::getpid())) {
    ::unlink(path_.c_str());
  }
  ~VhostUserResourcesTest() override { ::unlink(path_.c_str()); }

  absl::StatusOr<VhostUserResources> Listen() const {
    return OpenVhostUser("net[0]", {.socket = path_, .listen = true});
  }

  const std::string path_;
};

TEST_F(VhostUserResourcesTest, NothingIsOpenedWhereNoneIsGiven) {
  const auto none = OpenVhostUser("net[0]", {});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_FALSE(none->listener.valid());
  EXPECT_FALSE(none->connection.valid());
}

TEST_F(VhostUserResourcesTest, OneSideListensAndTheOtherConnects) {
  const auto listens = Listen();
  ASSERT_TRUE(listens.ok()) << listens.status();
  EXPECT_TRUE(listens->listener.valid());
  EXPECT_FALSE(listens->connection.valid());
  const auto connects = OpenVhostUser("net[0]", {.socket = path_});
  ASSERT_TRUE(connects.ok()) << connects.status();
  EXPECT_FALSE(connects->listener.valid());
  EXPECT_TRUE(connects->connection.valid());
  EXPECT_NE(::fcntl(connects->connection.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(VhostUserResourcesTest, FileGoesWithTheOneThatListens) {
  {
    const auto listens = Listen();
    ASSERT_TRUE(listens.ok()) << listens.status();
    EXPECT_TRUE(IsSocket(path_));
  }
  EXPECT_FALSE(IsSocket(path_));
}

TEST_F(VhostUserResourcesTest, SocketIsReplacedOnlyWhereNobodyListens) {
  auto first = Listen();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Listen().status().code(), absl::StatusCode::kAlreadyExists);
  // As a process that was killed leaves it: its descriptors are closed, its
  // file is there.
  const std::string other = path_ + "x";
  ASSERT_EQ(::rename(path_.c_str(), other.c_str()), 0);
  *first = VhostUserResources();
  ASSERT_EQ(::rename(other.c_str(), path_.c_str()), 0);
  EXPECT_TRUE(IsSocket(path_));
  EXPECT_TRUE(Listen().ok());
}

TEST_F(VhostUserResourcesTest, NobodyThereIsAnErrorThatNamesField) {
  EXPECT_EQ(ErrorOf({.socket = path_}),
            absl::StrCat("rng[0].vhost_user.socket: ", path_,
                         ": No such file or directory"));
  const UniqueFd file(
      ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_EQ(ErrorOf({.socket = path_}),
            absl::StrCat("rng[0].vhost_user.socket: ", path_,
                         ": Connection refused"));
  EXPECT_EQ(OpenVhostUser("net[0]", {.socket = path_, .listen = true})
                .status()
                .code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(VhostUserResourcesTest, DescriptorListensOrIsConnected) {
  const auto open = [](int fd) {
    return OpenVhostUser("net[0]",
                         {.socket = "", .fd = static_cast<uint32_t>(fd)});
  };
  std::array<int, 2> ends;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const UniqueFd theirs(ends[1]);
  const auto connected = open(ends[0]);
  ASSERT_TRUE(connected.ok()) << connected.status();
  EXPECT_EQ(connected->connection.get(), ends[0]);
  EXPECT_NE(::fcntl(ends[0], F_GETFD) & FD_CLOEXEC, 0);
  const auto listens = Listen();
  ASSERT_TRUE(listens.ok()) << listens.status();
  const int copy = ::dup(listens->listener.get());
  const auto listening = open(copy);
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_EQ(listening->listener.get(), copy);
}

TEST_F(VhostUserResourcesTest, OtherDescriptorIsRefused) {
  EXPECT_EQ(ErrorOf({.socket = "", .fd = 999}),
            "rng[0].vhost_user.fd: 999: Bad file descriptor");
  const UniqueFd file(
      ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_EQ(ErrorOf({.socket = "", .fd = static_cast<uint32_t>(file.get())}),
            absl::StrCat(
                "rng[0].vhost_user.fd: ", file.get(),
                " is not a unix stream socket that listens or is connected"));
}

}  // namespace
}  // namespace annulus
