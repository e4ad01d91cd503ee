#ifndef TESTS_GUEST_RNG_H_
#define TESTS_GUEST_RNG_H_

#include <cstdint>

#include "tests/guest/virtio_transport.h"

namespace guest {

// Drives an entropy device from reset to `rounds` buffers of random bytes,
// virtio 1.4 §5.4 "Entropy Device". Features and the way of waiting are options
// of the command line: ring=packed|split, event_idx=0|1, indirect=0|1,
// in_order=0|1, data=0|1 (in notifications), reset=N (of the queue, after each
// N buffers), wait=poll|interrupt. Ends the guest at the first thing that is
// not right.
void UseRng(VirtioTransport& transport, uint64_t rounds);

}  // namespace guest

#endif  // TESTS_GUEST_RNG_H_
