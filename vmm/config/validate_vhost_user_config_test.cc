#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

constexpr char kTheirs[] =
    ": is given, but belongs to the process behind vhost_user";

VmConfig WithVsock() {
  VmConfig config;
  config.boot.kernel = "k";
  config.vsock.emplace().vhost_user.socket = "v";
  return config;
}

VmConfig WithRng() {
  VmConfig config;
  config.boot.kernel = "k";
  config.rng.emplace_back().vhost_user.socket = "r";
  return config;
}

std::string ErrorOf(const VmConfig& config) {
  return std::string(ValidateVmConfig(config).message());
}

template <typename Change>
std::string VsockError(const Change& change) {
  VmConfig config = WithVsock();
  change(*config.vsock);
  return ErrorOf(config);
}

template <typename Change>
std::string RngError(const Change& change) {
  VmConfig config = WithRng();
  change(config.rng[0]);
  return ErrorOf(config);
}

TEST(ValidateVhostUserConfigTest, SocketIsAllThatIsNeeded) {
  EXPECT_EQ(ErrorOf(WithVsock()), "");
  EXPECT_EQ(ErrorOf(WithRng()), "");
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.cid = 3; }), "");
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.vhost_user.listen = true; }), "");
  EXPECT_EQ(VsockError(
                [](VsockConfig& v) { v.vhost_user = {.socket = "", .fd = 3}; }),
            "");
}

TEST(ValidateVhostUserConfigTest, SocketIsAPathAnAbstractNameOrADescriptor) {
  const auto error = [](const VhostUserConfig& vhost_user) {
    return RngError([&](RngConfig& r) { r.vhost_user = vhost_user; });
  };
  EXPECT_EQ(error({.socket = "@name"}), "");
  EXPECT_EQ(error({.socket = "@"}),
            "rng[0].vhost_user.socket: \"@\" alone is not a name");
  EXPECT_EQ(error({.socket = std::string(108, 'p')}),
            "rng[0].vhost_user.socket: 108 bytes are more than 107");
  EXPECT_EQ(error({.socket = "", .fd = 2}),
            "rng[0].vhost_user.fd: 2 is not in 3..1048576");
  EXPECT_EQ(error({.socket = "p", .fd = 3}),
            "rng[0].vhost_user.fd: is given, but socket is, too");
  EXPECT_EQ(error({.socket = "", .listen = true}),
            "rng[0].vhost_user.listen: is given without socket");
  EXPECT_EQ(error({.socket = "", .fd = 3, .listen = true}),
            "rng[0].vhost_user.listen: is given, but fd is a socket that "
            "listens already, or never");
}

TEST(ValidateVhostUserConfigTest, NothingOfTheOtherProcessIsSaidHere) {
  EXPECT_EQ(RngError([](RngConfig& r) { r.poll = PollKind::kAlways; }),
            absl::StrCat("rng[0].poll", kTheirs));
  EXPECT_EQ(RngError([](RngConfig& r) { r.poll_microseconds = 1; }),
            absl::StrCat("rng[0].poll_microseconds", kTheirs));
  EXPECT_EQ(RngError([](RngConfig& r) { r.worker_cpus = {1}; }),
            absl::StrCat("rng[0].worker_cpus", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.socket = "s"; }),
            absl::StrCat("vsock.socket", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.socket_fd = 4; }),
            absl::StrCat("vsock.socket_fd", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.ports.emplace_back(); }),
            absl::StrCat("vsock.ports", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.switch_directory = "d"; }),
            absl::StrCat("vsock.switch_directory", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.buf_alloc = 4096; }),
            absl::StrCat("vsock.buf_alloc", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.max_connections = 1; }),
            absl::StrCat("vsock.max_connections", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.close_wait_milliseconds = 1; }),
            absl::StrCat("vsock.close_wait_milliseconds", kTheirs));
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.dgram = true; }),
            absl::StrCat("vsock.dgram", kTheirs));
}

TEST(ValidateVhostUserConfigTest, WhatIsOursIsStillChecked) {
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.cid = 2; }),
            "vsock.cid: 2 is the host; a guest's is 3 to 4294967294");
  EXPECT_EQ(VsockError([](VsockConfig& v) { v.queue_size = 3; }),
            "vsock.queue_size: 3 is not a power of two");
}

TEST(ValidateVhostUserConfigTest, EachDeviceHasItsOwnSocket) {
  VmConfig config = WithVsock();
  config.rng = WithRng().rng;
  EXPECT_EQ(ErrorOf(config), "");
  config.rng[0].vhost_user.socket = "v";
  EXPECT_EQ(ErrorOf(config),
            "vsock.vhost_user.socket: \"v\" belongs to rng[0].vhost_user");
  config.rng[0].vhost_user = {.socket = "", .fd = 7};
  config.vsock->vhost_user = {.socket = "", .fd = 7};
  EXPECT_EQ(ErrorOf(config),
            "vsock.vhost_user.fd: 7 belongs to rng[0].vhost_user");
  config.vsock.reset();
  NetConfig& net = config.net.emplace_back();
  net.backend = NetConfig::Backend::kTap;
  net.tap_fds = {7};
  EXPECT_EQ(ErrorOf(config), "rng[0].vhost_user.fd: 7 is given twice");
}

}  // namespace
}  // namespace annulus
