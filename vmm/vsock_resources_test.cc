#include "vmm/vsock_resources.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

// A directory whose name is short enough for sockets, which TempDir() may not
// be.
class VsockResourcesTest : public testing::Test {
 protected:
  VsockResourcesTest()
      : directory_(absl::StrCat("/tmp/vsock_resources_test.", ::getpid())) {
    std::filesystem::create_directory(directory_);
  }
  ~VsockResourcesTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(absl::string_view name) const {
    return absl::StrCat(directory_, "/", name);
  }

  VsockConfig Config() const {
    VsockConfig vsock;
    vsock.cid = 3;
    vsock.socket = Path("vm");
    return vsock;
  }

  bool IsSocket(absl::string_view name) const {
    return std::filesystem::is_socket(Path(name));
  }

  const std::string directory_;
};

absl::StatusOr<VsockResources> Opened(const VsockConfig& vsock) {
  absl::StatusOr<VsockResources> resources = OpenVsockResources(vsock);
  EXPECT_TRUE(resources.ok()) << resources.status();
  return resources;
}

std::string ErrorOf(const VsockConfig& vsock) {
  const absl::StatusOr<VsockResources> resources = OpenVsockResources(vsock);
  return resources.ok() ? "opened" : std::string(resources.status().message());
}

// A socket of this type that listens, under a name of the kernel's choice.
UniqueFd Listening(int type) {
  UniqueFd fd(::socket(AF_UNIX, type, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const void* const any = &address;
  EXPECT_EQ(::bind(fd.get(), static_cast<const sockaddr*>(any),
                   sizeof(address.sun_family)),
            0);
  EXPECT_EQ(::listen(fd.get(), 1), 0);
  return fd;
}

uint32_t NumberOf(const UniqueFd& fd) {
  return static_cast<uint32_t>(fd.get());
}

VsockPortConfig Inherited(uint32_t number, const UniqueFd& fd) {
  VsockPortConfig port;
  port.port = number;
  port.direction = Direction::kToGuest;
  port.fd = NumberOf(fd);
  return port;
}

TEST_F(VsockResourcesTest, SocketsAreThereUntilTheResourcesGo) {
  VsockConfig config = Config();
  config.dgram = true;
  config.ports = {
      {.port = 1,
       .direction = Direction::kToGuest,
       .type = Type::kSeqpacket,
       .path = Path("one")},
      {.port = 2, .direction = Direction::kToHost, .path = Path("two")}};
  {
    const auto resources = Opened(config);
    ASSERT_TRUE(resources.ok());
    for (const char* name : {"vm", "vm_seqpacket", "vm_dgram", "one"}) {
      EXPECT_TRUE(IsSocket(name)) << name;
    }
    EXPECT_FALSE(IsSocket("two"));  // A program of the host makes it.
    EXPECT_EQ(resources->sockets.HostPath(virtio::kVsockTypeStream, 2),
              Path("two"));
    EXPECT_EQ(resources->sockets.HostPath(virtio::kVsockTypeStream, 3),
              Path("vm_3"));
    EXPECT_EQ(resources->vsock_switch, nullptr);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(VsockResourcesTest, OnlySocketsOfOfferedTypesAreMade) {
  VsockConfig config = Config();
  config.seqpacket = false;
  const auto resources = Opened(config);
  EXPECT_TRUE(IsSocket("vm"));
  EXPECT_FALSE(IsSocket("vm_seqpacket"));
  EXPECT_FALSE(IsSocket("vm_dgram"));
}

TEST_F(VsockResourcesTest, InheritedSocketsAreDuplicated) {
  UniqueFd stream = Listening(SOCK_STREAM);
  UniqueFd seqpacket = Listening(SOCK_SEQPACKET);
  VsockConfig config = Config();
  config.socket = "";
  config.socket_fd = NumberOf(stream);
  config.ports = {Inherited(7, seqpacket)};
  config.ports[0].type = Type::kSeqpacket;
  const auto resources = Opened(config);
  ASSERT_TRUE(resources.ok());
  stream.reset();
  seqpacket.reset();
  const auto listeners = resources->sockets.listeners();
  ASSERT_EQ(listeners.size(), 2u);
  EXPECT_EQ(listeners[0].type, virtio::kVsockTypeStream);
  EXPECT_FALSE(listeners[0].guest_port.has_value());
  EXPECT_EQ(listeners[1].type, virtio::kVsockTypeSeqpacket);
  EXPECT_EQ(listeners[1].guest_port, 7u);
  for (const virtio::UnixListener& listener : listeners) {
    EXPECT_NE(::fcntl(listener.fd(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(VsockResourcesTest, ADescriptorIsNamedAsGiven) {
  const UniqueFd seqpacket = Listening(SOCK_SEQPACKET);
  const UniqueFd silent(::socket(AF_UNIX, SOCK_STREAM, 0));
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  VsockConfig config = Config();
  config.socket_fd = 1 << 20;
  EXPECT_EQ(ErrorOf(config), "vsock.socket_fd: 1048576: Bad file descriptor");
  for (const UniqueFd* fd : {&seqpacket, &silent, &file}) {
    config.socket_fd = NumberOf(*fd);
    EXPECT_EQ(ErrorOf(config),
              absl::StrCat("vsock.socket_fd: ", fd->get(),
                           " is not a listening unix socket of SOCK_STREAM"));
  }
  config = Config();
  config.ports = {Inherited(1, seqpacket)};
  EXPECT_EQ(ErrorOf(config),
            absl::StrCat("vsock.ports[0].fd: ", seqpacket.get(),
                         " is not a listening unix socket of SOCK_STREAM"));
  config.ports[0].type = Type::kSeqpacket;
  EXPECT_EQ(ErrorOf(config), "opened");
}

TEST_F(VsockResourcesTest, HandOverSocketsAreDuplicated) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  VsockConfig config = Config();
  config.socket = "";
  config.host_fd = NumberOf(ours);
  VsockPortConfig port = Inherited(7, ours);
  port.direction = Direction::kToHost;
  config.ports = {port};
  const auto resources = Opened(config);
  ASSERT_TRUE(resources.ok());
  const virtio::UnixSockets& sockets = resources->sockets;
  const int seven = sockets.HandOverSocket(virtio::kVsockTypeStream, 7);
  const int others = sockets.HandOverSocket(virtio::kVsockTypeSeqpacket, 7);
  EXPECT_GE(seven, 3);
  EXPECT_GE(others, 3);
  EXPECT_NE(seven, others);
  EXPECT_NE(seven, ours.get());
  EXPECT_NE(others, ours.get());

  const UniqueFd listens = Listening(SOCK_SEQPACKET);
  const std::string reason =
      absl::StrCat(": descriptor ", listens.get(),
                   " is not a connected unix socket of SOCK_SEQPACKET, over "
                   "which connections are handed over");
  config.host_fd = NumberOf(listens);
  EXPECT_EQ(ErrorOf(config), "vsock.host_fd" + reason);
  config.host_fd = 0;
  config.ports[0].fd = NumberOf(listens);
  EXPECT_EQ(ErrorOf(config), "vsock.ports[0].fd" + reason);
  config.ports[0].fd = 1 << 20;
  EXPECT_EQ(ErrorOf(config), "vsock.ports[0].fd: 1048576: Bad file descriptor");
}

TEST_F(VsockResourcesTest, WhatCannotBeBoundIsNamed) {
  VsockConfig config = Config();
  config.socket = "/no/such/directory/vm";
  const std::string error = ErrorOf(config);
  EXPECT_TRUE(absl::StartsWith(error, "vsock: ")) << error;
  EXPECT_TRUE(absl::StrContains(error, "/no/such/directory/vm")) << error;
  EXPECT_TRUE(absl::StrContains(error, "No such file or directory")) << error;
}

TEST_F(VsockResourcesTest, ASocketInUseIsNotTakenAway) {
  const auto first = Opened(Config());
  const absl::Status second = OpenVsockResources(Config()).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists) << second;
  EXPECT_TRUE(IsSocket("vm"));
}

TEST_F(VsockResourcesTest, DatagramsCanBeBetweenGuestsAlone) {
  VsockConfig config = Config();
  config.socket = "";
  config.switch_directory = directory_;
  config.dgram = true;
  const auto resources = Opened(config);
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(resources->sockets.datagram_fd(), -1);
}

TEST_F(VsockResourcesTest, ADirectoryMakesASwitch) {
  VsockConfig config = Config();
  config.switch_directory = directory_;
  const auto resources = Opened(config);
  ASSERT_TRUE(resources.ok());
  EXPECT_NE(resources->vsock_switch, nullptr);
}

}  // namespace
}  // namespace annulus
