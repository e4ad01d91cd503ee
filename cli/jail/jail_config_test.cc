#include "cli/jail/jail_config.h"

#include <functional>
#include <string>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

VsockPortConfig Port(VsockPortConfig::Direction direction) {
  VsockPortConfig port;
  port.port = 1;
  port.direction = direction;
  return port;
}

std::string ErrorOf(const std::function<void(VmConfig&)>& change) {
  VmConfig config;
  change(config);
  return std::string(CheckJailConfig(config).message());
}

TEST(JailConfigTest, WhatIsOpenedBeforeFits) {
  EXPECT_EQ(ErrorOf([](VmConfig& config) {
              config.console.kind = ConsoleConfig::Kind::kFile;
              config.console.path = "log";
              config.net.emplace_back().tap = "tap0";
              config.net.emplace_back().pcap = "pcap";
              config.net.emplace_back().vhost_user = {
                  .socket = "s", .fd = 0, .listen = true};
              VsockConfig& vsock = config.vsock.emplace();
              vsock.socket = "vm";
              vsock.host_fd = 7;
              vsock.ports = {Port(VsockPortConfig::Direction::kToGuest),
                             Port(VsockPortConfig::Direction::kToHost)};
              vsock.ports[0].path = "http";
              vsock.ports[1].fd = 8;
            }),
            "");
}

TEST(JailConfigTest, WhatIsOpenedLaterIsNamed) {
  const auto expect = [](absl::string_view field,
                         const std::function<void(VmConfig&)>& change) {
    const std::string error = ErrorOf(change);
    EXPECT_TRUE(absl::StartsWith(error, field)) << error;
  };
  expect("vsock.socket: in a jail",
         [](VmConfig& config) { config.vsock.emplace().socket = "vm"; });
  expect("vsock.switch_directory: in a jail", [](VmConfig& config) {
    config.vsock.emplace().switch_directory = "d";
  });
  expect("vsock.ports[0].path: in a jail", [](VmConfig& config) {
    config.vsock.emplace().ports = {Port(VsockPortConfig::Direction::kToHost)};
    config.vsock->ports[0].path = "p";
  });
  expect("net[1].vhost_user.socket: in a jail", [](VmConfig& config) {
    config.net.resize(2);
    config.net[1].vhost_user.socket = "s";
  });
  expect("rng[0].vhost_user.socket: in a jail", [](VmConfig& config) {
    config.rng.emplace_back().vhost_user.socket = "s";
  });
  expect("vsock.vhost_user.socket: in a jail", [](VmConfig& config) {
    config.vsock.emplace().vhost_user.socket = "s";
  });
}

TEST(JailConfigTest, DevicesThatStandAlone) {
  DevicesConfig config;
  config.device.emplace_back().socket = "s";
  config.device[0].kind = VsockConfig();
  EXPECT_TRUE(CheckJailConfig(config).ok());
  std::get<VsockConfig>(config.device[0].kind).socket = "vm";
  EXPECT_TRUE(absl::StartsWith(CheckJailConfig(config).message(),
                               "device[0].vsock.socket: in a jail"));
  config.device[0].connect = "front-end";
  EXPECT_TRUE(absl::StartsWith(CheckJailConfig(config).message(),
                               "device[0].connect: in a jail"));
}

}  // namespace
}  // namespace annulus::cli
