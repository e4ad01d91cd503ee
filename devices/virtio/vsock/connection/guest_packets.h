#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_PACKETS_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_PACKETS_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "base/rate_limiter.h"
#include "devices/virtio/vsock/connection/muxer_state.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus::virtio {

// What packets of the guest do to its connections (virtio 1.4 §5.10.6 "Device
// Operation").
//
// Threads: the tx worker.
// Trust: headers and payload are the guest's.
// Allocation: per connection; per segment of what a host's program is too slow
//   for.
class GuestPackets {
 public:
  // `state` outlives it.
  explicit GuestPackets(MuxerState& state);

  // Hot.
  void Take(const PacketHeader& header, const PacketPayload& payload);
  void Refuse(const PacketHeader& header, VsockReset reason);

 private:
  // What becomes of payload.
  enum class Way : uint8_t {
    kNone,     // There is none to write.
    kDirect,   // It goes to the socket.
    kWaiting,  // Behind what waits for the socket.
  };

  void Request(const PacketHeader& header);
  void Response(Connection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void Rst(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void Shutdown(Connection& connection, uint32_t flags)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void Refuse(Connection& connection, VsockReset reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  // Does what there is to do under the lock. If `way` is not kNone, the
  // connection that is returned is pinned.
  // What every packet says about credit.
  void TakeCredit(Connection& connection, const PacketHeader& header)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  Connection* Dispatch(const PacketHeader& header, Way& way);
  // A connection with the host at that port is to be made.
  bool MayRequest(const PacketHeader& header);
  Way AcceptPayload(Connection& connection, const PacketHeader& header)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  // Both take the pin away. `end`: of a message.
  void WritePayload(Connection& connection, const PacketPayload& payload,
                    bool end);
  void KeepPayload(Connection& connection, const PacketPayload& payload,
                   bool end);
  // False: the rest is of no use any more, and was counted as forwarded.
  bool MayKeep(Connection& connection, size_t rest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  void Reply(const PacketHeader& header, VsockReset reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  MuxerState& state_;
  RateLimiter log_limit_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_PACKETS_H_
