#include "devices/virtio/queue/inflight/recover_queue.h"

#include "base/status_macros.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/inflight/recover_formats.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

absl::StatusOr<std::optional<QueueState>> RecoverQueue(
    const memory::GuestMemory& memory, const QueueConfig& config,
    const memory::GuestSpan& region) {
  // Whatever is wrong with the configuration is said as it always is.
  ANNULUS_RETURN_IF_ERROR(Virtqueue::Create(memory, config).status());
  const bool packed = config.features.Has(kFeatureRingPacked);
  ANNULUS_RETURN_IF_ERROR(CheckInflightRegion(region, packed, config.size));
  const InflightRegion inflight(region);
  return packed ? RecoverPackedQueue(memory, config, inflight)
                : RecoverSplitQueue(memory, config, inflight);
}

}  // namespace annulus::virtio
