#ifndef VMM_CONFIG_CONFIG_PROTO_H_
#define VMM_CONFIG_CONFIG_PROTO_H_

#include "absl/status/status.h"
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

// The parts that are about one device. They overwrite what `message` has;
// errors begin with the field below the device: "backend: ...".
absl::Status ReadRng(const proto::RngConfig& message, RngConfig& rng);
void WriteRng(const RngConfig& rng, proto::RngConfig& message);
absl::Status ReadNet(const proto::NetConfig& message, NetConfig& net);
void WriteNet(const NetConfig& net, proto::NetConfig& message);

// The same for an entropy device.
absl::Status ReadRng(const proto::RngConfig& message, RngConfig& rng);
void WriteRng(const RngConfig& rng, proto::RngConfig& message);

}  // namespace annulus

#endif  // VMM_CONFIG_CONFIG_PROTO_H_
