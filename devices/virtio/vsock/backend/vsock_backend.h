#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_VSOCK_BACKEND_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_VSOCK_BACKEND_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// A program of the host that wants to be connected to a port of the guest.
struct HostCall {
  UniqueFd socket;          // Connected, non-blocking. Reads begin with data.
  uint16_t type = 0;        // kVsockTypeStream or kVsockTypeSeqpacket.
  uint32_t guest_port = 0;  // Where to.
  // Sent to the caller when the guest accepts, with the host's port in place of
  // the one "%": "OK %\n"; empty: nothing is sent.
  std::string greeting;
};

// Datagrams between ports of the guest and programs of the host.
//
// Threads: fd() and Receive() on the datagram rx worker, Send() on the tx
//   worker, concurrently.
class HostDatagrams {
 public:
  struct Ports {
    uint32_t guest = 0;
    uint32_t host = 0;
  };

  virtual ~HostDatagrams() = default;

  // Readable when Receive() may have something.
  virtual int fd() const = 0;

  // Hot. One datagram's payload to `vectors`; its size, which is larger than
  // these if it did not fit and was cut off; nothing if there is none now.
  // What is no datagram for the guest is skipped, a bounded number of them per
  // call.
  virtual std::optional<size_t> Receive(absl::Span<const iovec> vectors,
                                        Ports& ports) = 0;

  // Hot. False: nobody took it; it is lost.
  virtual bool Send(const Ports& ports, absl::Span<const iovec> vectors) = 0;
};

// The host's end of a socket device (CID 2): who calls the guest, and whom the
// guest can call.
//
// Threads: Connect() on the tx worker; fd(), deadline_ns() and NextCall() on
//   whichever thread runs the host loop, one at a time; datagrams() from any.
// Trust: programs of the host are not trusted with more than their own
//   connections: they may send anything, or nothing, and go at any time.
class VsockBackend {
 public:
  virtual ~VsockBackend() = default;

  // Of poll(2): readable when NextCall() may have something to do. Level-
  // triggered; it is not readable forever for a caller that does nothing.
  virtual int fd() const = 0;

  // By when NextCall() is to be called although fd() is not readable, of
  // base/clock.h; QueueWait::kForever's value if never.
  virtual int64_t deadline_ns() const = 0;

  // Cold. Never blocks. Serves callers that have not said yet what they want,
  // and returns one that has; nothing when all are served. `now_ns` is the
  // time.
  virtual std::optional<HostCall> NextCall(int64_t now_ns) = 0;

  // Cold. Never blocks. A connected or, if `connecting` is set, still
  // connecting non-blocking socket to who serves `port` for guests. Errors: the
  // reason, for the log; the guest gets a RST for each.
  struct Connection {
    UniqueFd socket;
    bool connecting = false;  // Until it is writable.
  };
  virtual absl::StatusOr<Connection> Connect(uint16_t type, uint32_t port) = 0;

  // Null if it has none.
  virtual HostDatagrams* datagrams() = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_VSOCK_BACKEND_H_
