#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_RECEIVE_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_RECEIVE_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/rx_buffers.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves the rx virtqueue of datagrams, of a proposal and not of virtio 1.4:
// each datagram is one packet of type DGRAM, from programs of the host and from
// other guests by turns. There is no credit. A datagram waits with who has it
// until there is a buffer, and is lost if it does not fit then: it is never
// split.
//
// Threads: SetMergeable() while the queue does not run; the rest on its worker,
//   each Drain() in its turn.
// Trust: buffers are guest-controlled: see RxBuffers.
// Allocation: none after construction.
class DatagramReceiveQueue final : public QueueHandler {
 public:
  // The largest payload; and of the host's, so many between two notifications
  // of the driver at most.
  static constexpr uint32_t kMaxBytes = RxBuffers::kMaxPayload;
  static constexpr uint32_t kBatch = 64;

  struct Surroundings {
    HostDatagrams* host;  // Or null,
    SwitchPort* port;     // as this.
    const std::atomic<uint64_t>& guest_cid;
    const TransportGate& gate;
    Turn& turn;
    VsockCounters& counters;
  };

  // What is in `surroundings` outlives the queue.
  DatagramReceiveQueue(uint16_t max_queue_size,
                       const Surroundings& surroundings)
      : around_(surroundings), sink_(max_queue_size, surroundings.counters) {}

  // MRG_RXBUF was negotiated.
  void SetMergeable(bool mergeable) { mergeable_ = mergeable; }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override { return wait_; }
  void QueueStopped() override { sink_.Stop(); }

 private:
  enum class Delivered : uint8_t { kAll, kMore, kNoRoom };
  Delivered DeliverHost();
  Delivered DeliverPort();
  PacketHeader HeaderOf(const HostDatagrams::Ports& ports) const;

  const Surroundings around_;
  bool mergeable_ = false;
  QueueWait wait_;
  bool port_first_ = false;
  bool stalls_ = false;  // As of the last Drain().
  RxBuffers sink_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_RECEIVE_QUEUE_H_
