#include "devices/virtio/vsock/switch/datagram_inbox.h"

#include <utility>

namespace annulus::virtio {

void DatagramInbox::Open() {
  MutexLock lock(mu_);
  open_ = true;
}

void DatagramInbox::Close() {
  MutexLock lock(mu_);
  open_ = false;
  inbox_.Clear();
}

bool DatagramInbox::Arrive(SwitchedPacket packet) {
  bool wake = false;
  {
    MutexLock lock(mu_);
    if (!open_ || !inbox_.Admits(packet.header.src_cid, packet.cost)) {
      return false;
    }
    wake = inbox_.empty();
    inbox_.Push(std::move(packet));
  }
  if (wake) doorbell_.Ring();
  return true;
}

bool DatagramInbox::Exchange(std::vector<SwitchedPacket>& batch,
                             size_t delivered, size_t most) {
  MutexLock lock(mu_);
  for (size_t i = 0; i < delivered; ++i) inbox_.Settle(batch[i]);
  const bool rest = delivered < batch.size();
  while (batch.size() > delivered) {
    inbox_.PushFront(std::move(batch.back()));
    batch.pop_back();
  }
  batch.clear();
  if (rest) return true;
  while (!inbox_.empty() && batch.size() < most) batch.push_back(inbox_.Pop());
  return !inbox_.empty();
}

}  // namespace annulus::virtio
