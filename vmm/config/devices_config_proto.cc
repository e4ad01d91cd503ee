#include "vmm/config/devices_config_proto.h"

#include <cstddef>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "vmm/config/config_proto.h"
#include "vmm/config/vsock_config_proto.h"

namespace annulus {
namespace {

absl::Status Below(absl::string_view field, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(field, ".", status.message()));
}

void ReadEndpoint(const proto::DeviceConfig& message, DeviceConfig& device) {
  switch (message.endpoint_case()) {
    case proto::DeviceConfig::kSocket:
      device.socket = message.socket();
      return;
    case proto::DeviceConfig::kConnect:
      device.connect = message.connect();
      return;
    case proto::DeviceConfig::kFd:
      device.fd = message.fd();
      return;
    case proto::DeviceConfig::ENDPOINT_NOT_SET:
      return;
  }
}

absl::Status ReadDevice(const proto::DeviceConfig& message,
                        DeviceConfig& device) {
  if (message.has_name()) device.name = message.name();
  ReadEndpoint(message, device);
  if (message.has_state_file()) device.state_file = message.state_file();
  switch (message.kind_case()) {
    case proto::DeviceConfig::kNet:
      return Below("net",
                   ReadNet(message.net(), device.kind.emplace<NetConfig>()));
    case proto::DeviceConfig::kVsock:
      return Below("vsock", ReadVsock(message.vsock(),
                                      device.kind.emplace<VsockConfig>()));
    case proto::DeviceConfig::kRng:
      return Below("rng",
                   ReadRng(message.rng(), device.kind.emplace<RngConfig>()));
    case proto::DeviceConfig::KIND_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

void WriteDevice(const DeviceConfig& device, proto::DeviceConfig& message) {
  message.set_name(device.name);
  if (!device.socket.empty()) {
    message.set_socket(device.socket);
  } else if (!device.connect.empty()) {
    message.set_connect(device.connect);
  } else if (device.fd != 0) {
    message.set_fd(device.fd);
  }
  message.set_state_file(device.state_file);
  if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
    WriteNet(*net, *message.mutable_net());
  } else if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
    WriteVsock(*vsock, *message.mutable_vsock());
  } else if (const auto* rng = std::get_if<RngConfig>(&device.kind)) {
    WriteRng(*rng, *message.mutable_rng());
  }
}

}  // namespace

absl::StatusOr<DevicesConfig> DevicesConfigFromProto(
    const proto::DevicesConfig& message) {
  DevicesConfig config;
  for (const proto::DeviceConfig& device : message.device()) {
    const size_t index = config.device.size();
    const absl::Status status =
        Below(absl::StrCat("device[", index, "]"),
              ReadDevice(device, config.device.emplace_back()));
    if (!status.ok()) return status;
  }
  return config;
}

proto::DevicesConfig DevicesConfigToProto(const DevicesConfig& config) {
  proto::DevicesConfig message;
  for (const DeviceConfig& device : config.device) {
    WriteDevice(device, *message.add_device());
  }
  return message;
}

}  // namespace annulus
