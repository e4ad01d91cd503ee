#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_TESTING_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_TESTING_H_

#include <cstddef>
#include <limits>
#include <vector>

#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/hand_over.h"

namespace annulus::virtio {

// A program at its end of a hand-over socket, for tests.

// Blocks for the next connection that the guest makes. Invalid, with `message`
// as it was: the VM is gone, or sent something else than one message with one
// descriptor.
UniqueFd TakeHandedOver(const UniqueFd& socket, HandOverMessage& message);

// Takes up to `most` connections, one after the other, and sends back what
// comes on each to its end; also stops when the VM is gone. What they were.
std::vector<HandOverMessage> EchoHandedOver(
    const UniqueFd& socket, size_t most = std::numeric_limits<size_t>::max());

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_HAND_OVER_TESTING_H_
