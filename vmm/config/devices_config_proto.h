#ifndef VMM_CONFIG_DEVICES_CONFIG_PROTO_H_
#define VMM_CONFIG_DEVICES_CONFIG_PROTO_H_

#include "absl/status/statusor.h"
#include "proto/device_config.pb.h"
#include "vmm/config/devices_config.h"

namespace annulus {

// As config_proto.h, of devices that stand alone. An empty path or a descriptor
// 0 is none, also where the message has it.
// Trust: `message` is untrusted.
absl::StatusOr<DevicesConfig> DevicesConfigFromProto(
    const proto::DevicesConfig& message);

// Every field is set, also to its default, other than those of which there is
// one at most.
proto::DevicesConfig DevicesConfigToProto(const DevicesConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_DEVICES_CONFIG_PROTO_H_
