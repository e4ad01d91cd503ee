#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/packet_sink.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {

// All connections between one guest and the programs of the host (virtio 1.4
// §5.10.6 "Device Operation"): finds the connection that a packet belongs to,
// makes and ends connections, and lets each of them have its turn at the
// guest's buffers.
//
// The two directions run on two threads. What the guest sends is taken by the
// tx worker, which writes it to the host's socket at once; what the socket does
// not take waits in the connection, at most buf_alloc bytes, and the host loop
// writes it later. What programs of the host send is read by the rx worker
// straight into the guest's buffers, as far as the guest's credit goes.
//
// The host loop, PollHost(), runs on the rx worker while the rx virtqueue runs,
// and on another thread before that, so that callers are accepted, and given up
// on, at any time.
//
// Threads: PacketFromGuest() and Refuse() on the tx worker. PollHost(),
//   Deliver(), fd() and deadline_ns() on the thread that runs the host loop,
//   one at a time. Start(), Reset() and ResetTransport() while neither runs.
// Trust: headers and payload are the guest's, who may send anything in any
//   order; sockets are the host's programs', who are not trusted either.
// Allocation: per connection when it is made, its buffer when it is first
//   needed; none per packet.
class Muxer {
 public:
  // Counters are those of the device's two workers. All outlive the muxer.
  // Fails where the host refuses descriptors.
  static absl::StatusOr<std::unique_ptr<Muxer>> Create(
      const VsockOptions& options, VsockBackend& backend, VsockCounters& rx,
      VsockCounters& tx, LogSink& log);

  virtual ~Muxer() = default;

  // DRIVER_OK: `negotiated` says which types of sockets there are.
  virtual void Start(const FeatureSet& negotiated) = 0;

  // A device reset: the guest has forgotten all connections, so their sockets
  // are closed: at once, or when their programs have read what the guest had
  // sent, say as it shut down. Callers that have not been offered to the guest
  // yet stay.
  virtual void Reset() = 0;

  // The guest is told of a TRANSPORT_RESET, after which it has no connections
  // and may have another CID: sockets are closed likewise.
  virtual void ResetTransport(uint64_t guest_cid) = 0;

  // Hot. One packet from the guest to the host. REQUIRES: src_cid is the
  // guest's, dst_cid the host's, and payload.size() == header.len.
  virtual void PacketFromGuest(const PacketHeader& header,
                               const PacketPayload& payload) = 0;

  // Answers with RST a packet for which there is nobody, unless it is one.
  virtual void Refuse(const PacketHeader& header, VsockReset reason) = 0;

  // Readable when PollHost() has something to do.
  virtual int fd() const = 0;
  // By when PollHost() is to be called in any case; INT64_MAX: never.
  virtual int64_t deadline_ns() const = 0;

  // Never blocks. Accepts callers, notes which sockets can be read, writes what
  // waits for those that can be written, and ends what took too long. `now_ns`
  // is the time of base/clock.h.
  virtual void PollHost(int64_t now_ns) = 0;

  // Hot. Sends packets to the guest, a bounded number of them.
  enum class Delivered : uint8_t {
    kAll,    // There is nothing more now.
    kMore,   // It stopped at its bound.
    kNoRoom  // The sink has no room for the next packet.
  };
  virtual Delivered Deliver(PacketSink& sink) = 0;

  // Connections of all states, any thread.
  virtual uint32_t connections() const = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_H_
