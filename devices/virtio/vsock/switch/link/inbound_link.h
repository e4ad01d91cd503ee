#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_LINK_INBOUND_LINK_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_LINK_INBOUND_LINK_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/switch/link/link_message.h"
#include "devices/virtio/vsock/switch/switched_packet.h"

namespace annulus::virtio {

// Memory into which messages are received, shared by the links of a port.
//
// Threads: the rx worker.
class LinkBuffer {
 public:
  enum class Received : uint8_t {
    kMessage,
    kNone,  // There is none now.
    kEnd    // The peer hung up, or sent what is no message of ours.
  };
  // One message of a SOCK_SEQPACKET socket. Never blocks.
  Received Receive(int socket);

  // What was received last: all of it, if it is no longer than what is before a
  // payload, and
  // as a packet. REQUIRES: a message; for ToPacket(), that it IsPacket().
  absl::Span<const uint8_t> start() const;
  bool IsPacket(uint64_t from, uint64_t to) const;
  SwitchedPacket ToPacket();

 private:
  LinkPacketStart start_ = {};
  std::unique_ptr<uint8_t[]> payload_;  // Of kLinkMaxPayload bytes, or null.
  size_t size_ = 0;                     // Of the message.
};

// A socket on which the device of another process sends.
struct InboundLink {
  uint64_t id = 0;
  UniqueFd socket;
  uint64_t cid = 0;     // 0: it has not said hello.
  bool ready = false;   // There may be messages.
  bool paused = false;  // `packet` waits for room.
  SwitchedPacket packet;
  // The lost link to the same CID, or 0: its connections are over as soon as
  // all that had been sent on this one has been read.
  uint64_t ends = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_LINK_INBOUND_LINK_H_
