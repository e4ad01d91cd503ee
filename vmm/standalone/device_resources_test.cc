#include "vmm/standalone/device_resources.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"
#include "vmm/vsock_resources.h"

namespace annulus {
namespace {

using virtio::ConnectTo;
using virtio::ListenAt;
using virtio::SocketDirectory;

DeviceConfig Rng() {
  DeviceConfig device;
  device.kind.emplace<RngConfig>();
  return device;
}

DeviceConfig Inherited(int fd) {
  DeviceConfig device = Rng();
  device.fd = static_cast<uint32_t>(fd);
  return device;
}

class DeviceResourcesTest : public testing::Test {
 protected:
  DeviceConfig At(const std::string& name) const {
    DeviceConfig device = Rng();
    device.socket = directory_.Path(name);
    return device;
  }

  static std::vector<DeviceResources> Open(DevicesConfig config) {
    auto resources = OpenDeviceResources(config);
    EXPECT_TRUE(resources.ok()) << resources.status();
    return resources.ok() ? *std::move(resources)
                          : std::vector<DeviceResources>();
  }

  static std::string ErrorOf(DevicesConfig config) {
    return std::string(OpenDeviceResources(config).status().message());
  }

  SocketDirectory directory_;
};

TEST_F(DeviceResourcesTest, SocketListensAndGoesWithItsDevice) {
  {
    const auto resources = Open({{At("a"), At("b")}});
    ASSERT_EQ(resources.size(), 2u);
    EXPECT_TRUE(resources[0].endpoint.listener.valid());
    EXPECT_FALSE(resources[0].endpoint.connection.valid());
    EXPECT_EQ(resources[0].endpoint.connect_path, "");
    EXPECT_FALSE(resources[0].state_file.valid());
    EXPECT_TRUE(ConnectTo(directory_.Path("a"), SOCK_STREAM).valid());
    EXPECT_EQ(directory_.Files(), (std::vector<std::string>{"a", "b"}));
  }
  EXPECT_TRUE(directory_.Files().empty());
}

TEST_F(DeviceResourcesTest, WhatFailsLeavesNoSocketBehind) {
  DeviceConfig bad = At("b");
  bad.state_file = directory_.Path("no/state");
  EXPECT_TRUE(
      absl::StartsWith(ErrorOf({{At("a"), bad}}), "device[1].state_file: "));
  EXPECT_TRUE(directory_.Files().empty());
  DeviceConfig tap = At("t");
  NetConfig& net = tap.kind.emplace<NetConfig>();
  net.backend = NetConfig::Backend::kTap;
  net.tap = "annulus-no-tap";
  EXPECT_TRUE(
      absl::StartsWith(ErrorOf({{At("a"), tap}}), "device[1].net.tap: "));
  DeviceConfig vsock = At("v");
  vsock.kind.emplace<VsockConfig>().socket_fd = 999;
  EXPECT_TRUE(
      absl::StartsWith(ErrorOf({{vsock}}), "device[0].vsock.socket_fd: 999"));
  EXPECT_TRUE(directory_.Files().empty());
}

TEST_F(DeviceResourcesTest, SocketInUseIsNotReplaced) {
  const UniqueFd other = ListenAt(directory_.Path("a"), SOCK_STREAM, 1);
  const absl::Status status = OpenDeviceResources({{At("a")}}).status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "device[0].socket: "));
  EXPECT_TRUE(ConnectTo(directory_.Path("a"), SOCK_STREAM).valid());
}

TEST_F(DeviceResourcesTest, DescriptorsAreToldApart) {
  UniqueFd listener = ListenAt(directory_.Path("a"), SOCK_STREAM, 1);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd peer(ends[1]);
  // The library takes both over.
  const int listening = listener.release();
  const auto resources = Open({{Inherited(listening), Inherited(ends[0])}});
  ASSERT_EQ(resources.size(), 2u);
  EXPECT_EQ(resources[0].endpoint.listener.get(), listening);
  EXPECT_FALSE(resources[0].endpoint.connection.valid());
  EXPECT_EQ(resources[1].endpoint.connection.get(), ends[0]);
  EXPECT_FALSE(resources[1].endpoint.listener.valid());
  for (const int fd : {listening, ends[0]}) {
    EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  }
}

TEST_F(DeviceResourcesTest, OtherDescriptorsAreRefused) {
  const UniqueFd fresh(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd seqpacket(ends[0]);
  const UniqueFd peer(ends[1]);
  const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::listen(tcp.get(), 1), 0);
  for (const int fd : {fresh.get(), file.get(), seqpacket.get(), tcp.get()}) {
    EXPECT_EQ(ErrorOf({{Inherited(fd)}}),
              absl::StrCat("device[0].fd: ", fd,
                           " is not a unix stream socket that listens or is "
                           "connected"));
  }
  EXPECT_TRUE(absl::StartsWith(ErrorOf({{Inherited(999)}}),
                               "device[0].fd: 999: Bad file descriptor"));
}

TEST_F(DeviceResourcesTest, StateFileIsLocked) {
  DeviceConfig device = At("a");
  device.state_file = directory_.Path("state");
  DeviceConfig other = At("b");
  other.state_file = device.state_file;
  {
    const auto resources = Open({{device}});
    ASSERT_EQ(resources.size(), 1u);
    EXPECT_TRUE(resources[0].state_file.valid());
    const absl::Status status = OpenDeviceResources({{other}}).status();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_TRUE(
        absl::StrContains(status.message(), "is in use by another device"));
  }
  EXPECT_EQ(Open({{other}}).size(), 1u);
  other.state_file = "/dev/null";
  EXPECT_EQ(ErrorOf({{other}}),
            "device[0].state_file: /dev/null: not a regular file");
}

// A process that was killed lets go of its files after it seems to be dead.
TEST_F(DeviceResourcesTest, StateFileOfOneThatIsGoingIsAwaited) {
  DeviceConfig device = At("a");
  device.state_file = directory_.Path("state");
  std::vector<DeviceResources> going = Open({{device}});
  ASSERT_EQ(going.size(), 1u);
  going[0].socket_file = {};
  going[0].endpoint = {};
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(watch.get(), device.state_file.c_str(),
                                IN_CLOSE_WRITE),
            0);
  std::thread end([&going, &watch] {
    // When one attempt has failed.
    inotify_event event;
    EXPECT_EQ(::read(watch.get(), &event, sizeof(event)),
              ssize_t{sizeof(event)});
    going.clear();
  });
  EXPECT_EQ(Open({{device}}).size(), 1u);
  end.join();
}

TEST_F(DeviceResourcesTest, ConnectingNeedsNothing) {
  DeviceConfig device = Rng();
  device.connect = directory_.Path("not-yet");
  const auto resources = Open({{device}});
  ASSERT_EQ(resources.size(), 1u);
  EXPECT_EQ(resources[0].endpoint.connect_path, device.connect);
  EXPECT_FALSE(resources[0].endpoint.listener.valid());
}

TEST_F(DeviceResourcesTest, EachKindHasItsOwn) {
  DeviceConfig net = At("n");
  NetConfig& card = net.kind.emplace<NetConfig>();
  card.backend = NetConfig::Backend::kNull;
  card.pcap = directory_.Path("pcap");
  DeviceConfig vsock = At("v");
  VsockConfig& socket = vsock.kind.emplace<VsockConfig>();
  socket.cid = 3;
  socket.socket = directory_.Path("vm");
  const auto resources = Open({{net, vsock, At("r")}});
  ASSERT_EQ(resources.size(), 3u);
  ASSERT_TRUE(std::holds_alternative<NetResources>(resources[0].kind));
  EXPECT_TRUE(std::get<NetResources>(resources[0].kind).pcap.valid());
  EXPECT_TRUE(std::holds_alternative<VsockResources>(resources[1].kind));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(resources[2].kind));
}

TEST_F(DeviceResourcesTest, CardsOfOneSwitchShareIt) {
  const auto port = [this](const std::string& socket, const std::string& name) {
    DeviceConfig device = At(socket);
    NetConfig& card = device.kind.emplace<NetConfig>();
    card.backend = NetConfig::Backend::kSwitch;
    card.switch_name = name;
    return device;
  };
  const auto resources =
      Open({{port("a", "lan"), port("b", "lan"), port("c", "other")}});
  ASSERT_EQ(resources.size(), 3u);
  const auto frame_switch = [&resources](size_t i) {
    return std::get<NetResources>(resources[i].kind).frame_switch.get();
  };
  EXPECT_NE(frame_switch(0), nullptr);
  EXPECT_EQ(frame_switch(0), frame_switch(1));
  EXPECT_NE(frame_switch(0), frame_switch(2));
}

}  // namespace
}  // namespace annulus
