#include "vmm/config/validate_devices_config.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

DeviceConfig Net(const std::string& socket) {
  DeviceConfig device;
  device.socket = socket;
  device.kind.emplace<NetConfig>().backend = NetConfig::Backend::kNull;
  return device;
}

DeviceConfig Vsock(const std::string& socket) {
  DeviceConfig device;
  device.socket = socket;
  VsockConfig& vsock = device.kind.emplace<VsockConfig>();
  vsock.cid = 3;
  vsock.socket = socket + ".vsock";
  return device;
}

DeviceConfig Rng(const std::string& socket) {
  DeviceConfig device;
  device.socket = socket;
  device.kind.emplace<RngConfig>();
  return device;
}

NetConfig& NetOf(DeviceConfig& device) {
  return std::get<NetConfig>(device.kind);
}

std::string ErrorOf(std::vector<DeviceConfig> devices) {
  const absl::Status status = ValidateDevicesConfig({std::move(devices)});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  return std::string(status.message());
}

TEST(ValidateDevicesConfigTest, EachKindAndEndpointIsValid) {
  DeviceConfig inherited = Rng("");
  inherited.fd = 3;
  DeviceConfig connecting = Net("");
  connecting.connect = "/run/b";
  connecting.state_file = "/run/state";
  EXPECT_TRUE(ValidateDevicesConfig(
                  {{Net("/run/a"), Vsock("@c"), inherited, connecting}})
                  .ok());
}

TEST(ValidateDevicesConfigTest, NumberOfDevicesIsBounded) {
  EXPECT_EQ(ErrorOf({}), "device: is not given");
  EXPECT_EQ(ErrorOf(std::vector<DeviceConfig>(65)),
            "device: 65 are more than 64");
}

TEST(ValidateDevicesConfigTest, EndpointIsOneOfThree) {
  EXPECT_EQ(ErrorOf({Net("")}),
            "device[0].socket: is not given, nor are connect and fd");
  DeviceConfig two = Net("/run/a");
  two.connect = "/run/b";
  EXPECT_EQ(ErrorOf({two}),
            "device[0].connect: is given, but another of socket, connect and "
            "fd is, too");
  two.connect.clear();
  two.fd = 3;
  EXPECT_EQ(ErrorOf({two}),
            "device[0].fd: is given, but another of socket, connect and fd "
            "is, too");
  two.socket.clear();
  for (const uint32_t fd : {2u, 1u << 21}) {
    two.fd = fd;
    EXPECT_EQ(ErrorOf({two}),
              "device[0].fd: " + std::to_string(fd) + " is not in 3..1048576");
  }
  EXPECT_EQ(ErrorOf({Net("@")}), "device[0].socket: \"@\" alone is not a name");
  EXPECT_EQ(ErrorOf({Net(std::string(108, 'a'))}),
            "device[0].socket: 108 bytes are more than 107");
  EXPECT_EQ(ErrorOf({Net(std::string("a\0b", 3))}),
            "device[0].socket: contains a NUL byte");
  DeviceConfig state = Net("/run/a");
  state.state_file = std::string("a\0b", 3);
  EXPECT_EQ(ErrorOf({state}), "device[0].state_file: contains a NUL byte");
}

TEST(ValidateDevicesConfigTest, FieldsOfTheDeviceAreChecked) {
  DeviceConfig none;
  none.socket = "/run/a";
  EXPECT_EQ(ErrorOf({none}),
            "device[0].net: is not given, nor are vsock and rng");
  DeviceConfig net = Net("/run/a");
  NetOf(net).queue_pairs = 17;
  EXPECT_EQ(ErrorOf({Net("/run/b"), net}),
            "device[1].net.queue_pairs: 17 is not in 1..16");
  DeviceConfig vsock = Vsock("/run/a");
  std::get<VsockConfig>(vsock.kind).cid = 2;
  EXPECT_EQ(ErrorOf({vsock}),
            "device[0].vsock.cid: 2 is the host; a guest's is 3 to "
            "4294967294");
}

TEST(ValidateDevicesConfigTest, WorkersOfEachKindAreChecked) {
  DeviceConfig rng = Rng("/run/a");
  std::get<RngConfig>(rng.kind).poll_microseconds = 1'000'001;
  EXPECT_EQ(ErrorOf({rng}),
            "device[0].rng.poll_microseconds: 1000001 is not in 0..1000000");
}

TEST(ValidateDevicesConfigTest, TransportIsTheFrontEnds) {
  DeviceConfig net = Net("/run/a");
  NetOf(net).virtio.transport = TransportKind::kMmio;
  EXPECT_EQ(ErrorOf({net}),
            "device[0].net.virtio.transport: is the front-end's to choose");
  DeviceConfig rng = Rng("/run/a");
  std::get<RngConfig>(rng.kind).virtio.transport = TransportKind::kMmio;
  EXPECT_EQ(ErrorOf({rng}),
            "device[0].rng.virtio.transport: is the front-end's to choose");
}

TEST(ValidateDevicesConfigTest, WhatOneHasNoOtherHas) {
  EXPECT_EQ(ErrorOf({Net("/run/a"), Rng("/run/a")}),
            "device[1].socket: \"/run/a\" belongs to device[0]");
  DeviceConfig first = Net("/run/a");
  DeviceConfig second = Net("/run/b");
  first.state_file = second.state_file = "/run/s";
  EXPECT_EQ(ErrorOf({first, second}),
            "device[1].state_file: \"/run/s\" belongs to device[0]");
  first.state_file.clear();
  for (DeviceConfig* device : {&first, &second}) {
    NetOf(*device).backend = NetConfig::Backend::kTap;
    NetOf(*device).tap = "tap0";
  }
  EXPECT_EQ(ErrorOf({first, second}),
            "device[1].net.tap: \"tap0\" belongs to device[0]");
  // Also among descriptors of different uses.
  for (DeviceConfig* device : {&first, &second}) {
    device->socket.clear();
    NetOf(*device).tap.clear();
  }
  first.fd = 5;
  NetOf(first).tap_fds = {6};
  second.fd = 6;
  NetOf(second).tap_fds = {7};
  EXPECT_EQ(ErrorOf({first, second}), "device[1].fd: 6 is given twice");
  DeviceConfig vsock = Vsock("/run/v");
  std::get<VsockConfig>(vsock.kind).socket_fd = 5;
  std::get<VsockConfig>(vsock.kind).socket.clear();
  EXPECT_EQ(ErrorOf({first, vsock}),
            "device[1].vsock.socket_fd: 5 is given twice");
}

TEST(ValidateDevicesConfigTest, NamesAreGivenOrOfKindAndNumber) {
  DeviceConfig named = Net("/run/d");
  named.name = "uplink";
  EXPECT_EQ(
      DeviceNames({{Net("/a"), Vsock("/b"), named, Rng("/c"), Net("/e")}}),
      (std::vector<std::string>{"net0", "vsock0", "uplink", "rng0", "net2"}));
  named.name = "net1";
  EXPECT_EQ(ErrorOf({named, Net("/run/a")}),
            "device[1].name: \"net1\" belongs to device[0]");
  named.name = "a/b";
  EXPECT_EQ(ErrorOf({named}),
            "device[0].name: may only contain A-Z, a-z, 0-9, '-', '_' and "
            "'.'");
  named.name = std::string(33, 'a');
  EXPECT_EQ(ErrorOf({named}), "device[0].name: 33 characters are more than 32");
}

}  // namespace
}  // namespace annulus
