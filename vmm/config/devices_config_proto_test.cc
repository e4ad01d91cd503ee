#include "vmm/config/devices_config_proto.h"

#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "proto/device_config.pb.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/config_format.h"
#include "vmm/config/config_text.h"
#include "vmm/config/devices_config.h"

namespace annulus {
namespace {

constexpr absl::string_view kText = R"(
    # proto-message: annulus.proto.DevicesConfig
    device {
      name: "front" socket: "/run/a.sock" state_file: "/run/a.state"
      net { backend: TAP tap: "tap0" queue_pairs: 2 virtio { packed: false } }
    }
    device { connect: "/run/b.sock" vsock { cid: 3 socket: "/run/v" } }
    device { fd: 7 rng { virtio { event_idx: false } } })";

void ExpectIsThat(const DevicesConfig& config) {
  ASSERT_EQ(config.device.size(), 3u);
  const DeviceConfig& net = config.device[0];
  EXPECT_EQ(net.name, "front");
  EXPECT_EQ(net.socket, "/run/a.sock");
  EXPECT_EQ(net.state_file, "/run/a.state");
  ASSERT_TRUE(std::holds_alternative<NetConfig>(net.kind));
  EXPECT_EQ(std::get<NetConfig>(net.kind).tap, "tap0");
  EXPECT_EQ(std::get<NetConfig>(net.kind).queue_pairs, 2u);
  EXPECT_FALSE(std::get<NetConfig>(net.kind).virtio.packed);
  const DeviceConfig& vsock = config.device[1];
  EXPECT_EQ(vsock.name, "");
  EXPECT_EQ(vsock.socket, "");
  EXPECT_EQ(vsock.connect, "/run/b.sock");
  ASSERT_TRUE(std::holds_alternative<VsockConfig>(vsock.kind));
  EXPECT_EQ(std::get<VsockConfig>(vsock.kind).cid, 3u);
  EXPECT_EQ(std::get<VsockConfig>(vsock.kind).socket, "/run/v");
  const DeviceConfig& rng = config.device[2];
  EXPECT_EQ(rng.fd, 7u);
  ASSERT_TRUE(std::holds_alternative<RngConfig>(rng.kind));
  EXPECT_FALSE(std::get<RngConfig>(rng.kind).virtio.event_idx);
  EXPECT_TRUE(std::get<RngConfig>(rng.kind).virtio.packed);
}

TEST(DevicesConfigTest, TextFormatIsRead) {
  const absl::StatusOr<DevicesConfig> config =
      ParseDevicesConfig(kText, ConfigFormat::kTextProto, "F");
  ASSERT_TRUE(config.ok()) << config.status();
  ExpectIsThat(*config);
}

TEST(DevicesConfigTest, JsonIsRead) {
  const absl::StatusOr<DevicesConfig> config = ParseDevicesConfig(
      R"({"device": [
        {"name": "front", "socket": "/run/a.sock",
         "state_file": "/run/a.state",
         "net": {"backend": "TAP", "tap": "tap0", "queuePairs": 2,
                 "virtio": {"packed": false}}},
        {"connect": "/run/b.sock", "vsock": {"cid": 3, "socket": "/run/v"}},
        {"fd": 7, "rng": {"virtio": {"event_idx": false}}}]})",
      ConfigFormat::kJson, "F");
  ASSERT_TRUE(config.ok()) << config.status();
  ExpectIsThat(*config);
}

TEST(DevicesConfigTest, WhatIsPrintedIsReadBackAsTheSame) {
  const auto config = ParseDevicesConfig(kText, ConfigFormat::kTextProto, "F");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string text = FormatDevicesConfig(*config);
  // Defaults are spelled out.
  EXPECT_TRUE(absl::StrContains(text, "queue_size: 256")) << text;
  const auto again = ParseDevicesConfig(text, ConfigFormat::kTextProto, "F");
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectIsThat(*again);
  EXPECT_EQ(FormatDevicesConfig(*again), text);
}

std::string ErrorOf(absl::string_view text,
                    ConfigFormat format = ConfigFormat::kTextProto) {
  const auto config = ParseDevicesConfig(text, format, "F");
  EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << text;
  return std::string(config.status().message());
}

TEST(DevicesConfigTest, ErrorsNameThePlace) {
  EXPECT_EQ(ErrorOf("device {\n  sokket: \"a\" }"),
            "F:2:9: Message type \"annulus.proto.DeviceConfig\" has no field "
            "named \"sokket\".");
  // Either from a socket that is made, or from one that is inherited.
  EXPECT_TRUE(absl::StrContains(ErrorOf("device { socket: \"a\" fd: 3 }"),
                                "\"fd\" is specified along with"));
  EXPECT_TRUE(absl::StrContains(ErrorOf("device { net {} rng {} }"),
                                "\"rng\" is specified along with"));
  EXPECT_TRUE(
      absl::StrContains(ErrorOf("# proto-message: VmConfig\ndevice {}"),
                        "holds a VmConfig, not a annulus.proto.DevicesConfig"));
  EXPECT_TRUE(
      absl::StartsWith(ErrorOf("{\"device\": 1}", ConfigFormat::kJson), "F"));
}

TEST(DevicesConfigTest, NumberThatAnEnumDoesNotHaveIsRefusedByField) {
  proto::DevicesConfig message;
  message.add_device();
  message.add_device()->mutable_net()->set_backend(
      static_cast<proto::NetConfig::Backend>(99));
  EXPECT_TRUE(
      absl::StartsWith(DevicesConfigFromProto(message).status().message(),
                       "device[1].net.backend: 99 is not one of "));
  message.mutable_device(1)->mutable_rng()->mutable_virtio()->set_transport(
      static_cast<proto::VirtioConfig::Transport>(9));
  EXPECT_EQ(DevicesConfigFromProto(message).status().message(),
            "device[1].rng.virtio.transport: 9 is not one of PCI, MMIO");
}

}  // namespace
}  // namespace annulus
