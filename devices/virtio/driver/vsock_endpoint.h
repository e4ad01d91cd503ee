#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_H_

#include <cstdint>

#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/driver/vsock_receiver.h"
#include "devices/virtio/driver/vsock_transmitter.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {

// What a VsockEndpoint works with. All of it outlives the endpoint.
struct VsockEndpointConfig {
  uint64_t cid = 0;                 // Its own.
  uint32_t buf_alloc = 256 * 1024;  // Of each connection, both ways.
  // Ports of its connections to others go round from here on.
  uint32_t first_port = 0xc0000000;
  VsockConnectionTable* connections = nullptr;
};

// What a guest's kernel does with a socket device, small: STREAM and SEQPACKET
// connections in both directions, with credit as Linux counts and reports it
// (virtio 1.4 §5.10.6 "Device Operation").
//
// Payload is handed to the program where it was received; whoever keeps what it
// cannot use yet has to copy it, and to say with Consumed() when it was used.
// `Application` has
//
//   // A REQUEST of a host's or a guest's program: whether somebody listens.
//   bool Accepts(const VsockHeader& request);
//   void Connected(VsockConnection&);
//   // Bytes of payload; a packet's come in one or more calls, then Received().
//   void Data(VsockConnection&, const uint8_t* data, uint32_t bytes);
//   void Received(VsockConnection&, const VsockHeader&);
//   // There is credit again for a connection that has wants_credit set.
//   void Credit(VsockConnection&);
//   // The peer receives, or sends, no more: peer_shutdown.
//   void Shutdown(VsockConnection&);
//   // It is over, and gone after the call: by a RST, or because the peer broke
//   // the rules, or shut down both directions.
//   void Closed(VsockConnection&);
//
// `Driver` is PackedDriver or SplitDriver. Header-only and freestanding.
//
// Threads: thread-compatible; one owner, who owns receiver and transmitter.
// Trust: neither device nor peers are trusted: they can end connections, and
//   hand out bytes, but not more than there was credit for.
// Allocation: none.
template <typename Driver, typename Application>
class VsockEndpoint {
 public:
  VsockEndpoint(const VsockEndpointConfig& config,
                VsockReceiver<Driver>& receiver,
                VsockTransmitter<Driver>& transmitter, Application& application)
      : config_(config),
        table_(*config.connections),
        receiver_(receiver),
        transmitter_(transmitter),
        application_(application),
        next_port_(config.first_port) {}

  // Hot. Takes up to `most` packets and answers them. Stops early where there
  // is no room for an answer. True if there was one. What it sent or made
  // available the device may have to be notified of.
  bool Poll(uint32_t most);

  // Sends a REQUEST; Connected() or Closed() follows. Null: no room.
  VsockConnection* Connect(uint16_t type, uint64_t cid, uint32_t port);

  // Hot. Where the payload of the next packet of `connection` goes, and how
  // much of it the peer has credit for, `wanted` at most. Null: none, now; if
  // it is for want of credit, wants_credit is set and Credit() follows, else
  // there is room once the device has used packets.
  uint8_t* Room(VsockConnection& connection, uint32_t wanted, uint32_t* bytes);
  // Hot. Sends it. `flags`: of SEQPACKET, whether a message or record ends.
  // REQUIRES: Room() gave as many bytes, and nothing was sent since. Of 0 bytes
  // likewise: then Room() may have been asked for 0.
  void Send(VsockConnection& connection, uint32_t bytes, uint32_t flags = 0);

  // Hot. The program has used bytes of Data(): the peer gets credit for them.
  void Consumed(VsockConnection& connection, uint32_t bytes);

  // The following return false where there is no room now.
  //
  // Receives or sends no more. With both, RST of the peer ends it.
  bool Shutdown(VsockConnection& connection, uint32_t flags);
  // Ends it at once with RST, without Closed(). REQUIRES: not called by the
  // application in answer to a call.
  bool Abort(VsockConnection& connection);
  // Asks the peer for its credit.
  bool RequestCredit(VsockConnection& connection) {
    return Control(connection, kVsockOpCreditRequest);
  }

  const VsockConnectionTable& connections() const { return table_; }
  bool broken() const { return receiver_.broken() || transmitter_.broken(); }

 private:
  using State = VsockConnection::State;

  // Packets that only answers are sent with: one for each packet that is taken,
  // and one for what the program has to say about it.
  static constexpr uint32_t kForAnswers = 1;
  static constexpr uint32_t kForControl = 2;

  void Transmit(VsockHeader header) {
    header.src_cid = config_.cid;
    transmitter_.Send(header);
  }
  void Transmit(VsockConnection& connection, uint16_t op, uint32_t len,
                uint32_t flags);
  bool Control(VsockConnection& connection, uint16_t op, uint32_t flags = 0) {
    transmitter_.Reclaim();
    if (transmitter_.free_packets() < kForControl) return false;
    Transmit(connection, op, 0, flags);
    return true;
  }
  void Refuse(const VsockHeader& header);

  void Take(const VsockPacket& packet);
  void TakeRequest(const VsockHeader& header, const VsockKey& key);
  void TakeConnected(VsockConnection& connection, const VsockPacket& packet);
  void TakeData(VsockConnection& connection, const VsockPacket& packet);
  void TakeShutdown(VsockConnection& connection, uint32_t flags);
  void Close(VsockConnection& connection);
  void CloseWithReset(VsockConnection& connection) {
    Transmit(connection, kVsockOpRst, 0, 0);
    Close(connection);
  }
  void Remove(VsockConnection& connection);

  void NoteReport(VsockConnection& connection);
  void SendReports();

  const VsockEndpointConfig config_;
  VsockConnectionTable& table_;
  VsockReceiver<Driver>& receiver_;
  VsockTransmitter<Driver>& transmitter_;
  Application& application_;
  uint32_t next_port_;
  uint32_t reports_ = VsockConnectionTable::kNone;  // The list.
};

}  // namespace annulus::virtio

#include "devices/virtio/driver/vsock_endpoint_inl.h"  // IWYU pragma: export

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_ENDPOINT_H_
