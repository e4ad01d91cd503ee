#ifndef DEVICES_VIRTIO_QUEUE_QUEUE_STATE_H_
#define DEVICES_VIRTIO_QUEUE_QUEUE_STATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/violation.h"

namespace annulus::virtio {

// What a device has of a queue beside guest memory, as plain data: to suspend a
// virtual machine, or to hand a queue to another process. Notification
// suppression is not part of it: who goes on starts with EnableNotifications()
// and one used buffer notification, for either side may have been about to
// send one.
//
// Threads: plain data.
// Trust: untrusted when it comes back. Create() and ResumeChain() of the queues
//   check every field; whether chains are missing, AllResumed() tells.

// An element of a chain in flight.
struct ElementState {
  uint64_t address = 0;  // Guest-physical.
  uint32_t bytes = 0;

  friend bool operator==(const ElementState&, const ElementState&) = default;
};

// A chain that the device popped and did not push. It is saved with its
// elements, for its descriptors may be gone from the ring: used descriptors of
// later chains overwrite them, and a driver may rewrite indirect tables.
struct ChainState {
  uint16_t id = 0;                // Packed: buffer id. Split: head.
  uint16_t ring_descriptors = 0;  // Packed: that the chain takes in the ring.
  std::vector<ElementState> readable;
  std::vector<ElementState> writable;

  friend bool operator==(const ChainState&, const ChainState&) = default;
};

struct QueueState {
  bool packed = false;
  uint16_t size = 0;  // Descriptors.
  // Packed: offsets in the ring, and the wrap counters there. Split: indices
  // modulo 2^16, and no wrap counters.
  uint16_t next_available = 0;  // First not yet popped.
  uint16_t next_used = 0;       // First not yet published.
  bool available_wrap = true;
  bool used_wrap = true;
  Violation violation = Violation::kNone;  // Latched.

  friend bool operator==(const QueueState&, const QueueState&) = default;
};

// Cold; allocates. REQUIRES: chain.pending().
ChainState SaveChain(const DescriptorChain& chain);

// Cold. Of an untrusted state, what both formats check alike: InvalidArgument
// if it is not of this format and size, or has a violation that does not exist.
absl::Status CheckQueueState(const QueueState& state, bool packed,
                             uint16_t size);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_QUEUE_QUEUE_STATE_H_
