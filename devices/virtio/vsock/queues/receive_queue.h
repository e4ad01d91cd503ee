#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_RECEIVE_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_RECEIVE_QUEUE_H_

#include <cstdint>

#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/queues/idle_host_loop.h"
#include "devices/virtio/vsock/queues/rx_buffers.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves the rx virtqueue (virtio 1.4 §5.10.6.3 "Receive and transmit"): runs
// the host loop, and gives packets of the host's connections and of other
// guests to the driver, who of the two comes first taking turns. It asks to be
// notified of buffers only while packets wait for some.
//
// Threads: SetMergeable() while the queue does not run; the rest on its worker,
//   each Drain() in its turn.
// Trust: buffers are guest-controlled: see RxBuffers.
// Allocation: none here; the muxer's for a new connection.
class VsockReceiveQueue final : public QueueHandler {
 public:
  struct Surroundings {
    Muxer& muxer;
    SwitchPort* port;  // Or null.
    IdleHostLoop& host_loop;
    const TransportGate& gate;
    Turn& turn;
    VsockCounters& counters;
  };

  // What is in `surroundings` outlives the queue.
  VsockReceiveQueue(uint16_t max_queue_size, const Surroundings& surroundings)
      : around_(surroundings), sink_(max_queue_size, surroundings.counters) {}

  // MRG_RXBUF was negotiated.
  void SetMergeable(bool mergeable) { mergeable_ = mergeable; }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  QueueWait Wait() override { return wait_; }
  void QueueStopped() override;

 private:
  // What delivering found, of both sources together.
  struct Found {
    bool more = false;
    bool host_stalls = false;  // No buffer for the next packet of the host's,
    bool port_stalls = false;  // or of another guest's.
  };
  void DeliverHost(Found& found);
  void DeliverPort(Found& found);
  void Deliver(Found& found);

  const Surroundings around_;
  bool mergeable_ = false;
  QueueWait wait_;
  bool port_first_ = false;
  bool stalls_ = false;  // As of the last Drain().
  RxBuffers sink_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_RECEIVE_QUEUE_H_
