#include "vmm/sandbox/landlock_needs.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace annulus {
namespace {

using Paths = std::vector<std::string>;

TEST(LandlockNeedsTest, AMachineWithoutSocketsNeedsNothing) {
  VmConfig config;
  config.boot.kernel = "/boot/vmlinuz";
  config.net.emplace_back().passt = "/run/passt/socket";
  const LandlockOptions needs = LandlockNeeds(config);
  EXPECT_EQ(needs.remove_from, Paths());
  EXPECT_EQ(needs.make_in, Paths());
  EXPECT_FALSE(needs.abstract_sockets);
}

TEST(LandlockNeedsTest, SocketsThatAreMadeAreRemoved) {
  VmConfig config;
  config.control.socket = "/run/ctl/vm";
  NetConfig& net = config.net.emplace_back();
  net.vhost_user.socket = "/run/a/net";
  net.vhost_user.listen = true;
  RngConfig& connects = config.rng.emplace_back();
  connects.vhost_user.socket = "/run/b/rng";
  VsockConfig& vsock = config.vsock.emplace();
  vsock.socket = "relative";
  VsockPortConfig& made = vsock.ports.emplace_back();
  made.direction = VsockPortConfig::Direction::kToGuest;
  made.path = "/port";
  VsockPortConfig& called = vsock.ports.emplace_back();
  called.direction = VsockPortConfig::Direction::kToHost;
  called.path = "/run/c/port";
  vsock.switch_directory = "/run/switch";
  const LandlockOptions needs = LandlockNeeds(config);
  EXPECT_EQ(needs.remove_from, Paths({"/run/ctl", "/run/a", ".", "/"}));
  EXPECT_EQ(needs.make_in, Paths({"/run/switch"}));
  EXPECT_FALSE(needs.abstract_sockets);
}

TEST(LandlockNeedsTest, SoIsTheControlSocket) {
  VmConfig config;
  config.control.socket = "/run/vm/control";
  EXPECT_EQ(LandlockNeeds(config).remove_from,
            std::vector<std::string>({"/run/vm"}));
}

TEST(LandlockNeedsTest, AbstractNamesAreNoFiles) {
  VmConfig config;
  config.vsock.emplace().socket = "@vm/3";
  const LandlockOptions needs = LandlockNeeds(config);
  EXPECT_EQ(needs.remove_from, Paths());
  EXPECT_TRUE(needs.abstract_sockets);
}

TEST(LandlockNeedsTest, DevicesThatStandAlone) {
  DevicesConfig config;
  config.device.emplace_back().socket = "/run/d/net";
  config.device.emplace_back().connect = "/run/e/net";
  DeviceConfig& device = config.device.emplace_back();
  device.socket = "/run/d/vsock";
  VsockConfig vsock;
  vsock.socket = "/run/f/vm";
  device.kind = std::move(vsock);
  const LandlockOptions needs = LandlockNeeds(config);
  EXPECT_EQ(needs.remove_from, Paths({"/run/d", "/run/f"}));
  EXPECT_FALSE(needs.abstract_sockets);
}

}  // namespace
}  // namespace annulus
