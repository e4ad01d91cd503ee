#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_TRANSMIT_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_TRANSMIT_QUEUE_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/queues/transmitted_packet.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/worker/queue_handler.h"

namespace annulus::virtio {

// Serves the tx virtqueue of datagrams, of a proposal and not of virtio 1.4:
// each buffer is a packet of type DGRAM and operation RW, for a program of the
// host or another guest. One that nobody takes is lost, and nobody is told: it
// is counted.
//
// Threads: SetHeaderBytes() while the queue does not run; the rest on its
//   worker, each Drain() in its turn.
// Trust: as VsockTransmitQueue.
// Allocation: none after construction.
class DatagramTransmitQueue final : public QueueHandler {
 public:
  static constexpr uint32_t kMaxBytes = 64 * 1024;  // Of payload.
  // Between two notifications of the driver at most.
  static constexpr uint16_t kBatch = 64;

  struct Surroundings {
    HostDatagrams* host;  // Or null,
    SwitchPort* port;     // as this.
    const std::atomic<uint64_t>& guest_cid;
    Turn& turn;
    VsockCounters& counters;
  };

  // What is in `surroundings` outlives the queue.
  DatagramTransmitQueue(uint16_t max_queue_size,
                        const Surroundings& surroundings);

  // Of the negotiated header.
  void SetHeaderBytes(size_t bytes) { header_bytes_ = bytes; }

  void QueueStarted(Virtqueue& queue) override;
  bool Drain(Virtqueue& queue) override;
  void QueueStopped() override { batch_.Abandon(); }

 private:
  // More than these, and one for who it is from, sendmsg(2) does not take.
  static constexpr size_t kMaxVectors = 1023;

  template <typename Queue>
  bool DrainQueue(Queue& queue);
  void Send(const DescriptorChain& chain, uint64_t guest_cid);
  bool Route(const TransmittedPacket& packet, uint64_t guest_cid);
  bool SendToHost(const TransmittedPacket& packet);

  const Surroundings around_;
  size_t header_bytes_ = kVsockHeaderBytes;
  ChainBatch batch_;
  std::array<iovec, kMaxVectors + 1> vectors_;
  // For a datagram in more pieces than that.
  const std::unique_ptr<uint8_t[]> copy_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_DATAGRAM_TRANSMIT_QUEUE_H_
