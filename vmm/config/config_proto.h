#ifndef VMM_CONFIG_CONFIG_PROTO_H_
#define VMM_CONFIG_CONFIG_PROTO_H_

#include "absl/status/statusor.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The only place where schema and plain data meet; nothing else in vmm sees
// protobuf.

// Fields that are left out take their default. InvalidArgument, "FIELD:
// REASON", where a value has no counterpart: an enum's number that has no name
// (proto3 lets it through), a size in MiB that overflows. Does not validate
// ranges.
// Trust: `message` is untrusted.
absl::StatusOr<VmConfig> VmConfigFromProto(const proto::VmConfig& message);

// Every field is set, also to its default. A size of whole MiB is given in MiB.
proto::VmConfig VmConfigToProto(const VmConfig& config);

}  // namespace annulus

#endif  // VMM_CONFIG_CONFIG_PROTO_H_
