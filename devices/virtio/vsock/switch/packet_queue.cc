#include "devices/virtio/vsock/switch/packet_queue.h"

#include <utility>

#include "base/check.h"

namespace annulus::virtio {

bool PacketQueue::Admits(uint64_t sender, uint64_t cost) const {
  const uint64_t free = max_bytes_ - bytes_;
  const auto own = bytes_by_sender_.find(sender);
  const uint64_t held = own == bytes_by_sender_.end() ? 0 : own->second;
  return cost <= free && held + cost <= free - cost;
}

void PacketQueue::Push(SwitchedPacket packet) {
  if (packet.cost != 0) {
    bytes_ += packet.cost;
    bytes_by_sender_[packet.header.src_cid] += packet.cost;
  }
  packets_.push_back(std::move(packet));
}

SwitchedPacket PacketQueue::Pop() {
  SwitchedPacket packet = std::move(packets_.front());
  packets_.pop_front();
  return packet;
}

void PacketQueue::PushFront(SwitchedPacket packet) {
  packets_.push_front(std::move(packet));
}

void PacketQueue::Settle(const SwitchedPacket& packet) {
  if (packet.cost == 0) return;
  bytes_ -= packet.cost;
  const auto own = bytes_by_sender_.find(packet.header.src_cid);
  ANNULUS_DCHECK(own != bytes_by_sender_.end() && own->second >= packet.cost);
  own->second -= packet.cost;
  if (own->second == 0) bytes_by_sender_.erase(own);
}

void PacketQueue::Clear() {
  packets_.clear();
  bytes_by_sender_.clear();
  bytes_ = 0;
}

}  // namespace annulus::virtio
