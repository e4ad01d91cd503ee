#ifndef VMM_CONFIG_VIRTIO_CONFIG_PROTO_H_
#define VMM_CONFIG_VIRTIO_CONFIG_PROTO_H_

#include "absl/status/status.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of config_proto.h that devices of all kinds have.

// Overwrites what `message` has. Errors: "virtio.FIELD: ...", for numbers that
// an enum does not have.
absl::Status ReadVirtio(const proto::VirtioConfig& message,
                        VirtioConfig& virtio);

void WriteVirtio(const VirtioConfig& virtio, proto::VirtioConfig& message);

}  // namespace annulus

#endif  // VMM_CONFIG_VIRTIO_CONFIG_PROTO_H_
