#include "devices/virtio/vsock/backend/socket_testing.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "gtest/gtest.h"

namespace annulus::virtio {

SocketDirectory::SocketDirectory() {
  std::string path = "/tmp/annulus-XXXXXX";
  EXPECT_NE(::mkdtemp(path.data()), nullptr) << std::strerror(errno);
  path_ = path;
}

SocketDirectory::~SocketDirectory() { std::filesystem::remove_all(path_); }

std::string SocketDirectory::Path(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

std::vector<std::string> SocketDirectory::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

UniqueFd ConnectTo(const std::string& path, int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const auto address = UnixAddress::Create(path);
  EXPECT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(::connect(fd.get(), address->get(), address->size()), 0)
      << path << ": " << std::strerror(errno);
  return fd;
}

UniqueFd BindTo(const std::string& path, int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const auto address = UnixAddress::Create(path);
  EXPECT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(::bind(fd.get(), address->get(), address->size()), 0)
      << path << ": " << std::strerror(errno);
  return fd;
}

UniqueFd ListenAt(const std::string& path, int type, int backlog) {
  UniqueFd fd = BindTo(path, type);
  EXPECT_EQ(::listen(fd.get(), backlog), 0) << std::strerror(errno);
  return fd;
}

int ConnectError(const std::string& path, int type) {
  const UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = UnixAddress::Create(path);
  EXPECT_TRUE(address.ok()) << address.status();
  return ::connect(fd.get(), address->get(), address->size()) == 0 ? 0 : errno;
}

void SendText(int fd, absl::string_view text) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()))
      << std::strerror(errno);
}

std::string ReceiveText(int fd) {
  std::string text(64 * 1024, '\0');
  ssize_t received;
  do {
    received = ::recv(fd, text.data(), text.size(), 0);
  } while (received < 0 && errno == EINTR);
  EXPECT_GE(received, 0) << std::strerror(errno);
  text.resize(static_cast<size_t>(std::max<ssize_t>(received, 0)));
  return text;
}

std::string ReceiveAll(int fd) {
  std::string all;
  for (;;) {
    const std::string part = ReceiveText(fd);
    if (part.empty()) return all;
    all += part;
  }
}

bool Readable(int fd) {
  pollfd poll = {fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1;
}

void AwaitReadable(int fd) {
  pollfd poll = {fd, POLLIN, 0};
  while (::poll(&poll, 1, -1) != 1) {
  }
}

}  // namespace annulus::virtio
