#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_FEATURES_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_FEATURES_H_

#include "absl/status/status.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {

// All that a socket device can do of what virtio 1.4 has a bit for: its own
// (§5.10.3 "Feature bits") and those of its queues. None of these depends on
// another.
FeatureSet AllVsockFeatures();

// What a device of these options offers.
FeatureSet OfferedVsockFeatures(const VsockOptions& options);

// InvalidArgument where the options make no sense, whatever the device has
// behind it. In one line, with the device's name.
absl::Status CheckVsockOptions(const VsockOptions& options);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_FEATURES_H_
