#include "vmm/config/config_text.h"

#include "base/status_macros.h"
#include "proto/device_config.pb.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/config_proto.h"
#include "vmm/config/devices_config_proto.h"
#include "vmm/config/message_text.h"

namespace annulus {

absl::StatusOr<VmConfig> ParseVmConfig(absl::string_view text,
                                       ConfigFormat format,
                                       absl::string_view file_name) {
  proto::VmConfig message;
  ANNULUS_RETURN_IF_ERROR(ParseMessage(text, format, file_name, message));
  absl::StatusOr<VmConfig> config = VmConfigFromProto(message);
  if (!config.ok()) return TextError(file_name, config.status().message());
  return config;
}

std::string FormatVmConfig(const VmConfig& config) {
  return FormatMessage(VmConfigToProto(config));
}

absl::StatusOr<DevicesConfig> ParseDevicesConfig(absl::string_view text,
                                                 ConfigFormat format,
                                                 absl::string_view file_name) {
  proto::DevicesConfig message;
  ANNULUS_RETURN_IF_ERROR(ParseMessage(text, format, file_name, message));
  absl::StatusOr<DevicesConfig> config = DevicesConfigFromProto(message);
  if (!config.ok()) return TextError(file_name, config.status().message());
  return config;
}

std::string FormatDevicesConfig(const DevicesConfig& config) {
  return FormatMessage(DevicesConfigToProto(config));
}

}  // namespace annulus
