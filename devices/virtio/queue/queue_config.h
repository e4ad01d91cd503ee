#ifndef DEVICES_VIRTIO_QUEUE_QUEUE_CONFIG_H_
#define DEVICES_VIRTIO_QUEUE_QUEUE_CONFIG_H_

#include <cstdint>

#include "devices/virtio/spec/features.h"
#include "memory/guest_address.h"

namespace annulus::virtio {

// What the driver wrote about one queue, latched by the transport when the
// queue was enabled: later writes change nothing (a queue size that moves under
// a running queue was Firecracker's CVE-2026-5747).
//
// Trust: all of it is guest-controlled; building a queue from it validates it.
struct QueueConfig {
  uint16_t size = 0;                // Descriptors.
  memory::GuestAddress descriptor;  // Descriptor table, or packed ring.
  memory::GuestAddress driver;  // Available ring, or driver event suppression.
  memory::GuestAddress device;  // Used ring, or device event suppression.
  FeatureSet features;          // As negotiated.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_QUEUE_CONFIG_H_
