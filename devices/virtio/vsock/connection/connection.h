#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_H_

#include <cstdint>
#include <limits>
#include <string>

#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/credit.h"
#include "devices/virtio/vsock/connection/message_queue.h"
#include "devices/virtio/vsock/connection/packet_meter.h"
#include "devices/virtio/vsock/connection/spill_buffer.h"

namespace annulus::virtio {

// What names a connection of this guest with the host.
struct ConnectionKey {
  uint32_t guest_port = 0;
  uint32_t host_port = 0;

  uint64_t value() const { return uint64_t{guest_port} << 32 | host_port; }
  friend bool operator==(const ConnectionKey&, const ConnectionKey&) = default;
};

// Packets without payload that are to be sent for a connection, as bits, in
// the order in which they go out.
enum Pending : uint8_t {
  kPendingReset = 1 << 0,  // And nothing else.
  kPendingRequest = 1 << 1,
  kPendingResponse = 1 << 2,
  kPendingCreditUpdate = 1 << 3,
  kPendingCreditRequest = 1 << 4,
  kPendingShutdown = 1 << 5,
};

// One connection between a port of the guest and a program of the host.
//
// Threads: guarded by the muxer's lock, but for what is constant, and for what
//   `meter` and what follows it say. Who has the connection pinned may use
//   `socket` without the lock.
// Allocation: `waiting` and `messages` when the host's program is slower than
//   the guest, `stash` for a message that does not fit in the guest's buffers.
struct Connection {
  enum class State : uint8_t {
    kRequested,    // The host's program calls; the guest has not answered.
    kConnecting,   // The guest called; the host's socket is not connected yet.
    kEstablished,  // May be shut down, in one direction or in both.
    kLingering,    // The guest is done with it and the ports are free, but the
                   // host's program has not read all yet.
    kReset,        // A RST is to be sent; the rest is gone.
    kGone,         // Not in the table; freed with its last pin.
  };

  Connection(ConnectionKey k, uint16_t socket_type, uint32_t buf_alloc)
      : key(k), type(socket_type), receive(buf_alloc) {}

  bool stream() const { return type == kVsockTypeStream; }
  // The host's program could be sent something that waits for it.
  bool has_waiting() const {
    return stream() ? !waiting.empty() : !messages.empty();
  }
  // What arrives now would have to wait behind something.
  bool must_wait() const {
    return !waiting.empty() || !(stream() || messages.idle());
  }
  void ClearWaiting() {
    waiting = SpillBuffer();
    messages.Clear();
  }

  bool guest_receives() const {
    return (guest_shutdown & kVsockShutdownReceive) == 0;
  }
  bool host_receives() const {
    return (host_shutdown & kVsockShutdownReceive) == 0;
  }
  bool host_sends() const { return (host_shutdown & kVsockShutdownSend) == 0; }

  const ConnectionKey key;
  const uint16_t type;
  uint32_t slot = 0;        // In the table.
  uint32_t generation = 0;  // Of the slot: tells it from an earlier one there.

  State state = State::kRequested;
  uint8_t pending = 0;  // Of Pending.
  uint8_t pins = 0;     // Threads that use it without the lock.

  // Flags of SHUTDOWN: what the guest said, what is to be said for the host's
  // program, and what of that was.
  uint8_t guest_shutdown = 0;
  uint8_t host_shutdown = 0;
  uint8_t sent_shutdown = 0;

  bool by_host = false;    // The host's program called.
  bool offered = false;    // A REQUEST was sent.
  bool announced = false;  // Counted as established, by who sends packets.
  bool readable = true;    // Until the socket says that it is not.
  bool hung_up = false;    // EPOLLHUP: the host's program is gone.
  bool stalled = false;    // Out of credit, in bytes or packets.
  // CREDIT_REQUESTs that were not answered yet, and CREDIT_UPDATEs that were
  // no answers: Linux sends one for each message that its program has read.
  uint32_t credit_requests = 0;
  uint32_t messages_read = 0;
  bool awaits_reader = false;  // Stalled, and a message read is news.
  bool write_closed = false;   // shutdown(SHUT_WR) was called.
  bool write_watched = true;   // There are events when it can be written to.
  bool wrote = false;          // Since the latest of these.

  UniqueFd socket;
  SendCredit send;
  ReceiveCredit receive;
  SpillBuffer waiting;    // For the host's program.
  MessageQueue messages;  // In `waiting`, of a SOCK_SEQPACKET.
  std::string greeting;   // Sent to it when the guest accepts.

  // When it is over if nothing happens, and when to look at it otherwise.
  int64_t expires_ns = std::numeric_limits<int64_t>::max();
  int64_t tick_ns = std::numeric_limits<int64_t>::max();
  int64_t offered_ns = 0;

  // Of the list of those with something to send.
  Connection* ready_next = nullptr;
  Connection* ready_previous = nullptr;
  bool ready = false;

  // Used by who sends packets to the guest alone.
  PacketMeter meter;
  uint32_t read_bytes = 0;  // How much to read at once.
  Stash stash;              // Of a SOCK_SEQPACKET.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_CONNECTION_H_
