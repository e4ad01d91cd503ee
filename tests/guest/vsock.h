#ifndef TESTS_GUEST_VSOCK_H_
#define TESTS_GUEST_VSOCK_H_

#include <cstdint>

#include "tests/guest/virtio_transport.h"

namespace guest {

// Drives a socket device from reset on: calls port 1234 of the host, where
// what is sent comes back, `calls` times; then, if `serves` is set, says
// "listening" and sends back what a program of the host sends to port 5678;
// with datagrams, sends one from port 7 to port 77 of the host, and awaits
// another. Options of the command line: ring=packed|split,
// type=stream|seqpacket, mrg=0|1, dgram=0|1. Ends the guest at the first thing
// that is not right.
void UseVsock(VirtioTransport& transport, uint64_t calls, bool serves);

// What UseVsock() negotiates.
uint64_t WantedVsockFeatures();

}  // namespace guest

#endif  // TESTS_GUEST_VSOCK_H_
