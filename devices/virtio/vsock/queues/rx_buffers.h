#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_RX_BUFFERS_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_RX_BUFFERS_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_sink.h"
#include "devices/virtio/vsock/vsock_counters.h"

namespace annulus::virtio {

// The buffers of an rx virtqueue as a place for packets (virtio 1.4 §5.10.6.3
// "Receive and transmit"). A packet is a header and its payload, over the
// elements of a buffer in any way: "The driver and device MUST NOT make
// assumptions about the layout" (§2.7.4 "Message Framing").
//
// The used length is the header and the payload exactly: Linux drops a packet,
// and with it bytes of a stream, whose `len` does not agree with it.
//
// With MRG_RXBUF, which is no part of virtio 1.4, a packet may go over several
// buffers: the header in the first alone, all but the last filled, and shown to
// the driver together.
//
// Threads: the worker of the queue.
// Trust: number, sizes and layout of buffers are guest-controlled. Those
//   without room for a header are given back and counted; no more of them in
//   one Drain() than the queue has, for they are shown to the driver after it.
// Allocation: in the constructor only.
class RxBuffers final : public PacketSink {
 public:
  // The largest payload of one packet, whatever the buffers: Linux sends none
  // larger, and other drivers may count on that.
  static constexpr uint32_t kMaxPayload = 64 * 1024;

  // `counters` outlive the object.
  RxBuffers(uint16_t max_queue_size, VsockCounters& counters);

  // Packets go to `queue` until Stop(). REQUIRES of what follows: started.
  void Start(Virtqueue& queue, bool mergeable);
  void Stop();

  [[nodiscard]] bool Put(const PacketHeader& header) override;
  [[nodiscard]] uint64_t Put(const PacketHeader& header,
                             absl::Span<const uint8_t> payload,
                             uint32_t max_packets, uint32_t& packets) override;
  [[nodiscard]] absl::Span<const iovec> Room(uint64_t max_bytes,
                                             uint32_t max_packets) override;
  uint32_t Commit(const PacketHeader& header, uint64_t bytes) override;

 private:
  static constexpr size_t kMaxVectors = 1024;  // IOV_MAX.

  absl::Span<DescriptorChain> chains() { return batch_.chains(); }
  // Of the first buffer of a packet with payload: it may be in the next one
  // only where packets are merged.
  uint32_t LeastForPayload() const {
    return mergeable_ ? header_bytes_ : header_bytes_ + 1;
  }
  void TakeMore();
  void ReleaseFront(uint32_t count);
  bool FindFront(uint32_t least);
  bool FindRoom(uint64_t payload);
  uint32_t Capacity();
  size_t AddPacket(size_t first, uint64_t& left);
  void CopyIn(uint64_t offset, absl::Span<const uint8_t> bytes);
  void Send(const PacketHeader& header);

  VsockCounters& counters_;
  Virtqueue* queue_ = nullptr;  // Not owned; null while stopped.
  bool mergeable_ = false;
  uint32_t header_bytes_ = kVsockHeaderBytes;
  ChainBatch batch_;
  uint64_t bytes_ = 0;  // Of all buffers in the batch.
  size_t vector_count_ = 0;
  std::array<iovec, kMaxVectors> vectors_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_RX_BUFFERS_H_
