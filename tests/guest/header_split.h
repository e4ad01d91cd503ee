#ifndef TESTS_GUEST_HEADER_SPLIT_H_
#define TESTS_GUEST_HEADER_SPLIT_H_

#include <cstdint>

#include "tests/guest/virtio_transport.h"

namespace guest {

// Drives a network card whose cable leads back to it: sends `rounds` TCP frames
// and as many without payload, and checks that they come back, the former with
// header and payload apart, the latter as they are. Options of the command
// line: method=A|B|C|Q, ring=packed|split. Ends the guest at the first thing
// that is not right.
void UseHeaderSplit(VirtioTransport& transport, uint64_t rounds);

}  // namespace guest

#endif  // TESTS_GUEST_HEADER_SPLIT_H_
