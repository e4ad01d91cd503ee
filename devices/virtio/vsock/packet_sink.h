#ifndef DEVICES_VIRTIO_VSOCK_PACKET_SINK_H_
#define DEVICES_VIRTIO_VSOCK_PACKET_SINK_H_

#include <sys/uio.h>

#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/vsock/packet_header.h"

namespace annulus::virtio {

// Where packets for the guest go: the buffers of the rx virtqueue. A packet
// takes one buffer, or several with MRG_RXBUF; payload that is longer than what
// a packet can hold is spread over several packets (RW may be split at will for
// a stream, and within a message of SEQPACKET: EOM and EOR go with the last).
// Who sends never sees buffers.
//
// Threads: the rx worker.
// Allocation: none.
class PacketSink {
 public:
  virtual ~PacketSink() = default;

  // Hot. A packet without payload: header.len must be 0. False: there is no
  // buffer for it now.
  [[nodiscard]] virtual bool Put(const PacketHeader& header) = 0;

  // Hot. Payload that lies in private memory, as one or more packets of this
  // header; len is set here, and flags are those of the last packet, 0 in the
  // others. Returns how many bytes went out, less than all if buffers or
  // `max_packets` run out; then flags were held back. Adds to `packets` how
  // many packets it became. REQUIRES: payload is not empty.
  [[nodiscard]] virtual uint64_t Put(const PacketHeader& header,
                                     absl::Span<const uint8_t> payload,
                                     uint32_t max_packets,
                                     uint32_t& packets) = 0;

  // Hot. Where recvmsg(2) may put up to `max_bytes` of payload that become at
  // most `max_packets` packets, filling each: at most IOV_MAX vectors. Empty:
  // there is no buffer now. Valid until the next call of any method.
  // REQUIRES: both are at least 1.
  [[nodiscard]] virtual absl::Span<const iovec> Room(uint64_t max_bytes,
                                                     uint32_t max_packets) = 0;

  // Hot. The first `bytes` of what Room() returned last were written: sends
  // them with this header, whose len and flags are as for Put(). Returns how
  // many packets they became. REQUIRES: 1 <= bytes <= what Room() had.
  virtual uint32_t Commit(const PacketHeader& header, uint64_t bytes) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_PACKET_SINK_H_
