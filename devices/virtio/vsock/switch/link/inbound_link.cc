#include "devices/virtio/vsock/switch/link/inbound_link.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace annulus::virtio {

LinkBuffer::Received LinkBuffer::Receive(int socket) {
  if (payload_ == nullptr) {
    payload_ = std::make_unique_for_overwrite<uint8_t[]>(kLinkMaxPayload);
  }
  std::array<iovec, 2> vectors = {iovec{start_.data(), start_.size()},
                                  iovec{payload_.get(), kLinkMaxPayload}};
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  for (;;) {
    // Descriptors that come along are dropped by the kernel.
    const ssize_t received = ::recvmsg(socket, &message, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) return Received::kNone;
    // An empty message cannot be told from the end, and is none of ours.
    if (received <= 0 || (message.msg_flags & MSG_TRUNC) != 0) {
      return Received::kEnd;
    }
    size_ = static_cast<size_t>(received);
    return Received::kMessage;
  }
}

absl::Span<const uint8_t> LinkBuffer::start() const {
  return absl::MakeConstSpan(start_.data(), std::min(size_, start_.size()));
}

bool LinkBuffer::IsPacket(uint64_t from, uint64_t to) const {
  return size_ >= start_.size() &&
         IsLinkPacket(DecodeLinkHeader(start_), size_ - start_.size(), from,
                      to);
}

SwitchedPacket LinkBuffer::ToPacket() {
  SwitchedPacket packet;
  packet.header = DecodeLinkHeader(start_);
  packet.header.len = 0;  // The sink sets it.
  packet.serial = DecodeLinkSerial(start_);
  packet.size = static_cast<uint32_t>(size_ - start_.size());
  packet.cost = SwitchedPacket::kOverhead + packet.size;
  if (packet.size > kLinkMaxPayload / 2) {  // Copying would cost more.
    packet.payload = std::move(payload_);
    packet.cost = SwitchedPacket::kOverhead + kLinkMaxPayload;
  } else if (packet.size != 0) {
    packet.payload = std::make_unique_for_overwrite<uint8_t[]>(packet.size);
    std::copy_n(payload_.get(), packet.size, packet.payload.get());
  }
  return packet;
}

}  // namespace annulus::virtio
