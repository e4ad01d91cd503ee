#ifndef VMM_CONFIG_VSOCK_CONFIG_PROTO_H_
#define VMM_CONFIG_VSOCK_CONFIG_PROTO_H_

#include "absl/status/status.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of config_proto.h that is about the socket device.

// Overwrites what `message` has. Errors: "FIELD: ...", for numbers that an enum
// does not have.
absl::Status ReadVsock(const proto::VsockConfig& message, VsockConfig& vsock);

void WriteVsock(const VsockConfig& vsock, proto::VsockConfig& message);

}  // namespace annulus

#endif  // VMM_CONFIG_VSOCK_CONFIG_PROTO_H_
