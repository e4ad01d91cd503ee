#ifndef DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_FORMATS_H_
#define DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_FORMATS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// RecoverQueue() of either format. REQUIRES: a queue was made of `config`, and
// `region` is long enough.
absl::StatusOr<std::optional<QueueState>> RecoverSplitQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const InflightRegion& region);
absl::StatusOr<std::optional<QueueState>> RecoverPackedQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const InflightRegion& region);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_INFLIGHT_RECOVER_FORMATS_H_
