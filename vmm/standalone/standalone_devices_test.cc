#include "vmm/standalone/standalone_devices.h"

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"
#include "vmm/net_resources.h"
#include "vmm/standalone/device_resources.h"

namespace annulus {
namespace {

using End = StandaloneDevices::End;

DevicesConfig NullCards(size_t count) {
  DevicesConfig config;
  for (size_t i = 0; i < count; ++i) {
    DeviceConfig& device = config.device.emplace_back();
    device.fd = static_cast<uint32_t>(3 + i);
    device.kind.emplace<NetConfig>().backend = NetConfig::Backend::kNull;
  }
  return config;
}

// As an embedder makes them, that opens nothing: `ours` are the front-ends'.
std::vector<DeviceResources> Connected(size_t count,
                                       std::vector<UniqueFd>& ours) {
  std::vector<DeviceResources> resources(count);
  for (DeviceResources& device : resources) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours.emplace_back(ends[0]);
    device.endpoint.connection.reset(ends[1]);
    device.kind = NetResources();
  }
  return resources;
}

TEST(StandaloneDevicesTest, EndsWhenTheLastConnectionHasEnded) {
  std::vector<UniqueFd> ours;
  auto devices = StandaloneDevices::Create(NullCards(2), Connected(2, ours),
                                           NullLogSink());
  ASSERT_TRUE(devices.ok()) << devices.status();
  const absl::StatusOr<EventFd> stop = EventFd::Create();
  ASSERT_TRUE(stop.ok());
  ours.clear();
  EXPECT_EQ((*devices)->Wait(stop->fd()), End::kFinished);
}

TEST(StandaloneDevicesTest, OneConnectionThatIsThereKeepsItGoing) {
  std::vector<UniqueFd> ours;
  auto devices = StandaloneDevices::Create(NullCards(2), Connected(2, ours),
                                           NullLogSink());
  ASSERT_TRUE(devices.ok()) << devices.status();
  const absl::StatusOr<EventFd> stop = EventFd::Create();
  ASSERT_TRUE(stop.ok());
  ours[0].reset();
  stop->Signal();
  EXPECT_EQ((*devices)->Wait(stop->fd()), End::kStopRequested);
  (*devices)->Stop();
  // The front-end is told.
  EXPECT_EQ(virtio::ReceiveText(ours[1].get()), "");
}

TEST(StandaloneDevicesTest, SocketThatIsGoneIsAFailureOfThatDeviceAlone) {
  const virtio::SocketDirectory directory;
  std::vector<UniqueFd> ours;
  std::vector<DeviceResources> resources = Connected(2, ours);
  const UniqueFd listener =
      virtio::ListenAt(directory.Path("s"), SOCK_STREAM, 1);
  resources[1].endpoint.connection.reset();
  resources[1].endpoint.listener.reset(::dup(listener.get()));
  auto devices = StandaloneDevices::Create(NullCards(2), std::move(resources),
                                           NullLogSink());
  ASSERT_TRUE(devices.ok()) << devices.status();
  const absl::StatusOr<EventFd> stop = EventFd::Create();
  ASSERT_TRUE(stop.ok());
  EXPECT_TRUE((*devices)->failure().ok());
  ASSERT_EQ(::shutdown(listener.get(), SHUT_RDWR), 0);
  // It waits for the other one.
  ours.clear();
  EXPECT_EQ((*devices)->Wait(stop->fd()), End::kFinished);
  (*devices)->Stop();
  const std::string failure((*devices)->failure().message());
  EXPECT_TRUE(absl::StartsWith(failure, "net1: ")) << failure;
  EXPECT_TRUE(absl::StrContains(failure, directory.Path("s"))) << failure;
}

TEST(StandaloneDevicesTest, WhatDoesNotFitTheConfigurationIsRefused) {
  const auto error = [](const DevicesConfig& config,
                        std::vector<DeviceResources> resources) {
    return std::string(
        StandaloneDevices::Create(config, std::move(resources), NullLogSink())
            .status()
            .message());
  };
  std::vector<UniqueFd> ours;
  EXPECT_EQ(error(NullCards(2), Connected(1, ours)),
            "device: 2 are configured, but 1 were opened");
  EXPECT_EQ(error({}, {}), "device: is not given");
  std::vector<DeviceResources> other = Connected(1, ours);
  other[0].kind = std::monostate();
  EXPECT_EQ(error(NullCards(1), std::move(other)),
            "device[0]: what was opened is of another kind");
}

}  // namespace
}  // namespace annulus
