#ifndef TESTS_GUEST_NET_ECHO_H_
#define TESTS_GUEST_NET_ECHO_H_

#include <cstdint>

#include "tests/guest/virtio_transport.h"

namespace guest {

// Drives a network card from whose other end each frame comes back with its
// addresses swapped, on the queue pair that it went out on: sends `rounds`
// frames on each pair, and checks every byte that comes back. Options of the
// command line: ring=packed|split, pairs=1|4. Ends the guest at the first thing
// that is not right.
void UseNetEcho(VirtioTransport& transport, uint64_t rounds);

}  // namespace guest

#endif  // TESTS_GUEST_NET_ECHO_H_
