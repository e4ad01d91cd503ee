#include "devices/virtio/vsock/queues/transmit_queue.h"

#include <optional>

#include "absl/base/optimization.h"
#include "devices/virtio/vsock/queues/transmitted_packet.h"

namespace annulus::virtio {

void VsockTransmitQueue::QueueStarted(Virtqueue& /*queue*/) {
  batch_.Abandon();
}

// Hot.
bool VsockTransmitQueue::Drain(Virtqueue& queue) {
  const Turn::Work turn(around_.turn);
  // Relaxed: changed by who interrupts the turn.
  guest_cid_ = around_.guest_cid.load(std::memory_order_relaxed);
  return queue.Visit([this](auto& format) { return DrainQueue(format); });
}

template <typename Queue>
bool VsockTransmitQueue::DrainQueue(Queue& queue) {
  if (batch_.chains().empty() && queue.Take(batch_) == 0) return false;
  uint32_t done = 0;
  uint64_t bytes = 0;
  for (DescriptorChain& chain : batch_.chains()) {
    bytes += Send(chain);
    // Nothing is written to a buffer of this queue.
    queue.Push(chain, 0);
    ++done;
    if (bytes >= kBatchBytes) break;
  }
  batch_.Release(done);
  return true;
}

// Hot. Returns how much payload the packet had.
uint32_t VsockTransmitQueue::Send(const DescriptorChain& chain) {
  const std::optional<TransmittedPacket> packet =
      ReadTransmittedPacket(chain, header_bytes_, guest_cid_, around_.counters);
  if (ABSL_PREDICT_FALSE(!packet.has_value())) return 0;
  around_.counters.packets.Add(1);
  around_.counters.bytes.Add(packet->header.len);
  Route(packet->header, packet->payload);
  return packet->header.len;
}

// Hot.
void VsockTransmitQueue::Route(const PacketHeader& header,
                               const PacketPayload& payload) {
  if (ABSL_PREDICT_TRUE(header.dst_cid == kVsockHostCid)) {
    around_.muxer.PacketFromGuest(header, payload);
    return;
  }
  VsockReset reason = VsockReset::kUnreachable;
  // Not to itself: the guest's own kernel has a loopback.
  if (around_.port != nullptr && header.dst_cid != guest_cid_ &&
      header.dst_cid >= kVsockFirstGuestCid &&
      around_.port->Send(header, payload, reason)) {
    return;
  }
  around_.muxer.Refuse(header, reason);
}

}  // namespace annulus::virtio
