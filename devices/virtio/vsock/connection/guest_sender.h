#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_SENDER_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_SENDER_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/connection/muxer_state.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_sink.h"

namespace annulus::virtio {

// Sends to the guest what its connections have for it: each that has something
// gets its turn, in which it may send so much.
//
// Threads: the host loop.
// Allocation: none per packet.
class GuestSender {
 public:
  // `state` outlives it.
  explicit GuestSender(MuxerState& state) : state_(state) {}

  // One turn for each that is ready, at most.
  Muxer::Delivered Deliver(PacketSink& sink);

  // Of PollHost(): the time for what is begun here.
  void set_now_ns(int64_t now_ns) { now_ns_ = now_ns; }

 private:
  bool SendReplies(PacketSink& sink) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  bool Turn(PacketSink& sink);

  // Sends what came up in it. False: there is no room.
  bool EndTurn(Connection& connection, PacketSink& sink)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  // Packets without payload. False: there is no room.
  bool SendPending(Connection& connection, PacketSink& sink)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  bool SendCreditUpdate(Connection& connection, PacketSink& sink)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  // How much may be read from the socket now.
  struct Budget {
    uint32_t bytes = 0;    // By the guest's credit.
    uint32_t packets = 0;  // By how many the guest may not have read yet.
    uint32_t buf_alloc = 0;
  };
  Budget Plan(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  // How reading ended. These add what they sent to turn_bytes_.
  enum class Read : uint8_t {
    kMore,     // At the bound of a turn, or there may be no more.
    kEmpty,    // There is no more.
    kEnd,      // And never will be.
    kFailed,   // The socket is of no use.
    kNoRoom,   // The guest has no buffers.
    kStalled,  // The next message is larger than what the guest may be sent.
  };
  Read ReadStream(Connection& connection, PacketSink& sink, Budget budget);
  Read ReadMessages(Connection& connection, PacketSink& sink, Budget& budget);
  Read ReadMessage(Connection& connection, PacketSink& sink, size_t size,
                   Budget& budget);
  Read SendEmptyMessage(Connection& connection, PacketSink& sink,
                        Budget& budget);
  Read SendStash(Connection& connection, PacketSink& sink, Budget& budget);
  // The header of payload, which is counted as sent. False: the connection is
  // gone meanwhile.
  bool Count(Connection& connection, uint32_t bytes, PacketHeader& header);
  // The same in two steps, for what may find no room.
  PacketHeader HeaderFor(const Connection& connection, uint32_t flags);
  void CountSent(Connection& connection, uint32_t bytes,
                 const PacketHeader& header);
  // Waits for credit, unless there is news of it since `budget`.
  void Stall(Connection& connection, const Budget& budget)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);
  // After the host's program has sent all that it ever will.
  void HostStopsSending(Connection& connection)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  MuxerState& state_;
  int64_t now_ns_ = 0;
  uint32_t turn_bytes_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_GUEST_SENDER_H_
