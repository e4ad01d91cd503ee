#include "vmm/sandbox/landlock.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "vmm/sandbox/forked_child.h"

namespace annulus {
namespace {

class LandlockTest : public testing::Test {
 protected:
  // Short enough for the address of a socket.
  LandlockTest() : directory_(absl::StrCat("/tmp/landlock_test.", ::getpid())) {
    std::filesystem::create_directories(directory_ + "/inside");
    std::ofstream(directory_ + "/file") << "text";
    std::ofstream(directory_ + "/inside/file") << "text";
  }
  ~LandlockTest() override { std::filesystem::remove_all(directory_); }

  void SetUp() override {
    if (LandlockVersion() == 0) GTEST_SKIP() << "no Landlock on this host";
  }

  // Whether `body` is content under `options`.
  static bool Restricted(const LandlockOptions& options,
                         const std::function<bool()>& body) {
    const ChildEnd end = InChild([&] {
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 2;
      const auto version = RestrictByLandlock(options);
      if (!version.ok() || *version != LandlockVersion()) return 3;
      return body() ? 0 : 1;
    });
    EXPECT_TRUE(end.exit_code == 0 || end.exit_code == 1) << end.exit_code;
    return end.exit_code == 0;
  }

  const std::string directory_;
};

bool Denied(int64_t result) { return result < 0 && errno == EACCES; }

TEST_F(LandlockTest, NothingIsOpenedMadeOrRemoved) {
  const UniqueFd open(::open((directory_ + "/file").c_str(), O_RDONLY));
  EXPECT_TRUE(Restricted({}, [&] {
    const std::string file = directory_ + "/file";
    char byte;
    return Denied(::open(file.c_str(), O_RDONLY)) &&
           Denied(::open(file.c_str(), O_WRONLY)) &&
           Denied(
               ::open((directory_ + "/new").c_str(), O_RDWR | O_CREAT, 0600)) &&
           Denied(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY)) &&
           Denied(::mkdir((directory_ + "/new").c_str(), 0700)) &&
           Denied(::unlink(file.c_str())) &&
           Denied(::execl("/bin/true", "true", nullptr)) &&
           // What is open stays so.
           ::read(open.get(), &byte, 1) == 1 && byte == 't';
  }));
}

TEST_F(LandlockTest, FilesOfADirectoryCanBeRemovedIfThatIsAllowed) {
  LandlockOptions options;
  options.remove_from = {directory_ + "/inside", directory_ + "/not/there"};
  EXPECT_TRUE(Restricted(options, [&] {
    const std::string file = directory_ + "/inside/file";
    return Denied(::unlink((directory_ + "/file").c_str())) &&
           Denied(::open(file.c_str(), O_RDONLY)) &&
           ::unlink(file.c_str()) == 0;
  }));
}

int BindTo(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const void* const any = &address;
  return ::bind(::socket(AF_UNIX, SOCK_STREAM, 0),
                static_cast<const sockaddr*>(any), sizeof(address));
}

TEST_F(LandlockTest, SocketsAndLocksCanBeMadeWhereThatIsAllowed) {
  LandlockOptions options;
  options.make_in = {directory_ + "/inside"};
  EXPECT_TRUE(Restricted(options, [&] {
    const std::string socket = directory_ + "/inside/s";
    return Denied(BindTo(directory_ + "/s")) && BindTo(socket) == 0 &&
           ::unlink(socket.c_str()) == 0 &&
           ::open((directory_ + "/inside/lock").c_str(), O_RDWR | O_CREAT,
                  0600) >= 0 &&
           Denied(::mkdir((directory_ + "/inside/new").c_str(), 0700));
  }));
}

TEST_F(LandlockTest, TcpIsDeniedFromVersion4On) {
  if (LandlockVersion() < 4) GTEST_SKIP() << "version " << LandlockVersion();
  EXPECT_TRUE(Restricted({}, [] {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(9);
    const void* const any = &address;
    return Denied(::connect(::socket(AF_INET, SOCK_STREAM, 0),
                            static_cast<const sockaddr*>(any),
                            sizeof(address)));
  }));
}

TEST_F(LandlockTest, ProcessesOutsideAreOutOfReachFromVersion6On) {
  if (LandlockVersion() < 6) GTEST_SKIP() << "version " << LandlockVersion();
  const std::string name = absl::StrCat("landlock_test.", ::getpid());
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const void* const any = &address;
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listener.get(), static_cast<const sockaddr*>(any), size), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  const auto connect = [&] {
    return ::connect(::socket(AF_UNIX, SOCK_STREAM, 0),
                     static_cast<const sockaddr*>(any), size);
  };
  EXPECT_TRUE(Restricted({}, [&] {
    return ::kill(::getppid(), 0) < 0 && errno == EPERM && connect() < 0 &&
           errno == EPERM && ::kill(::getpid(), 0) == 0;
  }));
  LandlockOptions options;
  options.abstract_sockets = true;
  EXPECT_TRUE(Restricted(
      options, [&] { return ::kill(::getppid(), 0) < 0 && connect() == 0; }));
}

}  // namespace
}  // namespace annulus
