#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMIT_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMIT_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves the tx virtqueue (virtio 1.4 §5.10.6.3 "Receive and transmit"): each
// buffer is a header and its payload, over descriptors in any way and of any
// number (§2.7.4 "Message Framing"), and perhaps more bytes than `len` says,
// which are ignored. The header is copied once, the payload goes to who it is
// for from where it is.
//
// A buffer is given back as soon as its packet is taken, whatever becomes of
// it: "the device MUST process the tx virtqueue even when the rx virtqueue is
// full" (§5.10.6.2), and the driver's sockets wait for their buffers.
//
// Threads: SetHeaderBytes() while the queue does not run; the rest on its
//   worker, each Drain() in its turn.
// Trust: buffers are guest-controlled. Packets that are none, or that pretend
//   to be another guest's, are dropped and counted.
// Allocation: none here; what the muxer needs for a new connection.
class VsockTransmitQueue final : public QueueHandler {
 public:
  // Between two notifications of the driver at most.
  static constexpr uint16_t kBatch = 64;
  static constexpr uint64_t kBatchBytes = 512 * 1024;  // And one packet more.

  struct Surroundings {
    Muxer& muxer;
    SwitchPort* port;  // Or null.
    const std::atomic<uint64_t>& guest_cid;
    Turn& turn;
    VsockCounters& counters;
  };

  // What is in `surroundings` outlives the queue.
  VsockTransmitQueue(uint16_t max_queue_size, const Surroundings& surroundings)
      : around_(surroundings), batch_(kBatch, max_queue_size) {}

  // Of the negotiated header.
  void SetHeaderBytes(size_t bytes) { header_bytes_ = bytes; }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  void QueueStopped() override { batch_.Abandon(); }

 private:
  template <typename Queue>
  bool DrainQueue(Queue& queue);
  uint32_t Send(const DescriptorChain& chain);
  void Route(const PacketHeader& header, const PacketPayload& payload);

  const Surroundings around_;
  size_t header_bytes_ = kVsockHeaderBytes;
  uint64_t guest_cid_ = 0;  // Of this turn.
  ChainBatch batch_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_TRANSMIT_QUEUE_H_
