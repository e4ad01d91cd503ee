#ifndef DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_PORT_H_
#define DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_PORT_H_

#include <cstdint>

#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/packet_sink.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus::virtio {

// The place of one socket device in a switch, through which it reaches other
// guests by their CIDs. Packets go from guest to guest as they are, so that
// credit is end to end: the switch keeps a packet only as long as the rx
// virtqueue that it is for has no buffer, and a bounded number of bytes
// altogether.
//
// It remembers which connections there are, so that both ends learn of it with
// a RST when the other guest resets, vanishes or is too slow for its bound.
//
// Threads: Send() and SendDatagram() on the tx workers of the device; fd(),
//   Poll(), Deliver(), Listen() and StopListening() on the rx worker,
//   DeliverDatagram() and datagram_fd() on the datagram rx worker; Start() and
//   Reset() while none of them runs.
// Trust: headers and payload are the guests'.
class SwitchPort {
 public:
  virtual ~SwitchPort() = default;

  // DRIVER_OK: packets may come from now on.
  virtual void Start() = 0;
  // Packets that wait are dropped; all who have a connection with the guest get
  // a RST. After it, and before Start(), the CID is not reachable.
  virtual void Reset() = 0;

  // From the first on, other processes reach the CID; from the second on they
  // are refused at once, as nobody would look at what they send.
  virtual void Listen() = 0;
  virtual void StopListening() = 0;

  // Hot. A packet to another guest: true: it is on its way, or was dropped on
  // purpose (a RST of no connection); false: it cannot be, and the caller is to
  // answer it with RST, for this reason. REQUIRES: src_cid is this guest's,
  // dst_cid not the host's, and payload.size() == header.len.
  [[nodiscard]] virtual bool Send(const PacketHeader& header,
                                  const PacketPayload& payload,
                                  VsockReset& reason) = 0;
  // The same for a datagram; false: it is lost.
  virtual bool SendDatagram(const PacketHeader& header,
                            const PacketPayload& payload) = 0;

  // Readable when Poll() or Deliver() has something to do; not for packets that
  // wait since Deliver() found no room for them.
  virtual int fd() const = 0;
  // Never blocks. Takes packets from, and gives them to, other processes.
  virtual void Poll() = 0;
  // Hot. Sends packets to the guest, a bounded number of them. False: the sink
  // has no room for the next one.
  [[nodiscard]] virtual bool Deliver(PacketSink& sink) = 0;

  virtual int datagram_fd() const = 0;
  // Likewise, of the datagrams.
  [[nodiscard]] virtual bool DeliverDatagrams(PacketSink& sink) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_SWITCH_SWITCH_PORT_H_
