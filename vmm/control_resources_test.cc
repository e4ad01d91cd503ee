#include "vmm/control_resources.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

// Short enough for a socket, which Bazel's own folder is not.
std::string PathFor(const char* name) {
  return absl::StrCat("/tmp/annulus_control_", name, ".", ::getpid());
}

bool Listens(int socket) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  return ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ==
             0 &&
         listens == 1;
}

TEST(ControlResourcesTest, NothingIsOpenedWhereNoneIsConfigured) {
  UniqueFd listener;
  virtio::BoundSocket file;
  EXPECT_TRUE(OpenControl({}, listener, file).ok());
  EXPECT_FALSE(listener.valid());
}

TEST(ControlResourcesTest, FileHasItsModeWhateverTheUmaskAndIsRemoved) {
  const std::string path = PathFor("mode");
  for (const char* mode : {"600", "660", "666"}) {
    UniqueFd listener;
    {
      virtio::BoundSocket file;
      ASSERT_TRUE(
          OpenControl({.socket = path, .mode = mode}, listener, file).ok());
      EXPECT_TRUE(Listens(listener.get()));
      struct stat status;
      ASSERT_EQ(::stat(path.c_str(), &status), 0);
      EXPECT_EQ(absl::StrCat(absl::Hex(status.st_mode & 7),
                             absl::Hex(status.st_mode >> 3 & 7),
                             absl::Hex(status.st_mode >> 6 & 7)),
                std::string(mode + 2) + mode[1] + mode[0]);
    }
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
  }
}

TEST(ControlResourcesTest, ErrorsNameTheField) {
  UniqueFd listener;
  virtio::BoundSocket file;
  const absl::Status socket =
      OpenControl({.socket = "/nowhere/x"}, listener, file);
  EXPECT_TRUE(absl::IsNotFound(socket)) << socket;
  EXPECT_EQ(socket.message().substr(0, 16), "control.socket: ");
  const absl::Status fd = OpenControl({.fd = 1000000}, listener, file);
  EXPECT_EQ(fd.message().substr(0, 31), "control.fd: descriptor 1000000:");
}

}  // namespace
}  // namespace annulus
