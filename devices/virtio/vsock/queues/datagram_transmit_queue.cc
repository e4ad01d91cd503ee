#include "devices/virtio/vsock/queues/datagram_transmit_queue.h"

#include <optional>

#include "absl/base/optimization.h"
#include "absl/types/span.h"

namespace annulus::virtio {

DatagramTransmitQueue::DatagramTransmitQueue(uint16_t max_queue_size,
                                             const Surroundings& surroundings)
    : around_(surroundings),
      batch_(kBatch, max_queue_size),
      copy_(std::make_unique<uint8_t[]>(kMaxBytes)) {}

void DatagramTransmitQueue::QueueStarted(Virtqueue& /*queue*/) {
  batch_.Abandon();
}

// Hot.
bool DatagramTransmitQueue::Drain(Virtqueue& queue) {
  const Turn::Work turn(around_.turn);
  return queue.Visit([this](auto& format) { return DrainQueue(format); });
}

template <typename Queue>
bool DatagramTransmitQueue::DrainQueue(Queue& queue) {
  // Relaxed: changed by who interrupts the turn.
  const uint64_t guest_cid = around_.guest_cid.load(std::memory_order_relaxed);
  if (queue.Take(batch_) == 0) return false;
  for (DescriptorChain& chain : batch_.chains()) {
    Send(chain, guest_cid);
    // Nothing is written to a buffer of this queue.
    queue.Push(chain, 0);
  }
  return true;
}

// Hot.
void DatagramTransmitQueue::Send(const DescriptorChain& chain,
                                 uint64_t guest_cid) {
  const std::optional<TransmittedPacket> packet =
      ReadTransmittedPacket(chain, header_bytes_, guest_cid, around_.counters);
  if (ABSL_PREDICT_FALSE(!packet.has_value())) return;
  if (ABSL_PREDICT_FALSE(packet->header.type != kVsockTypeDgram ||
                         packet->header.op != kVsockOpRw ||
                         packet->header.len > kMaxBytes)) {
    around_.counters.malformed.Add(1);
    return;
  }
  around_.counters.packets.Add(1);
  around_.counters.bytes.Add(packet->header.len);
  if (!Route(*packet, guest_cid)) around_.counters.datagrams_lost.Add(1);
}

// False: it is lost.
bool DatagramTransmitQueue::Route(const TransmittedPacket& packet,
                                  uint64_t guest_cid) {
  const uint64_t to = packet.header.dst_cid;
  if (to == kVsockHostCid) return SendToHost(packet);
  return around_.port != nullptr && to != guest_cid &&
         to >= kVsockFirstGuestCid &&
         around_.port->SendDatagram(packet.header, packet.payload);
}

bool DatagramTransmitQueue::SendToHost(const TransmittedPacket& packet) {
  if (around_.host == nullptr) return false;
  size_t count = packet.payload.Vectors(absl::MakeSpan(vectors_));
  if (ABSL_PREDICT_FALSE(count > kMaxVectors)) {
    packet.payload.CopyOut(absl::MakeSpan(copy_.get(), packet.payload.size()));
    vectors_[0] = {copy_.get(), packet.payload.size()};
    count = 1;
  }
  return around_.host->Send(
      {.guest = packet.header.src_port, .host = packet.header.dst_port},
      absl::MakeConstSpan(vectors_.data(), count));
}

}  // namespace annulus::virtio
