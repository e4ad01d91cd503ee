#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_COUNTERS_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/counter.h"

namespace annulus::virtio {

// Why a connection, or an attempt at one, ended with a RST.
enum class VsockReset : uint8_t {
  kByGuest,      // The guest sent it.
  kClosed,       // After both sides were done: the regular end.
  kRefused,      // The host has nobody at that port.
  kLimit,        // Too many connections, or descriptors.
  kUnknown,      // A packet of no connection.
  kType,         // An unknown or a refused socket type.
  kProtocol,     // A packet that is illegal in this state.
  kCredit,       // More data than there was credit for.
  kTimeout,      // No answer in time.
  kHost,         // The host's program vanished, or its socket failed.
  kUnreachable,  // No guest of that CID, or it vanished or has no room.
  kTransport,    // TRANSPORT_RESET.
};
inline constexpr size_t kVsockResetReasons = 12;

// What one worker of a socket device did since the device was made: there is
// one of these for rx, which sends to the guest, and one for tx.
//
// Threads: counted by the worker; read by any thread.
struct VsockCounters {
  Counter packets;
  Counter bytes;        // Payload.
  Counter connections;  // That were established: by rx those of the host's
                        // callers, by tx those of the guest.
  Counter malformed;    // Buffers that were no packet, or had no room for one.
  Counter spoofed;      // Packets not from the guest's CID.
  Counter credit_stalls;  // Data had to wait for credit (of bytes or packets).
  Counter buffer_stalls;  // rx: packets had to wait for buffers.
  Counter replies_lost;   // RSTs that found no room while the guest does not
                          // look at its rx virtqueue.
  Counter datagrams_lost;
  std::array<Counter, kVsockResetReasons> resets;

  void Reset(VsockReset reason) { resets[static_cast<size_t>(reason)].Add(1); }
};

// All of them; the reason is why there was a RST. Cold.
void VisitCounters(const VsockCounters& counters, CounterVisitor visit);

// One line for people: "packets=10 bytes=600 ...", without what is 0. Cold.
std::string DescribeCounters(const VsockCounters& counters);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_COUNTERS_H_
