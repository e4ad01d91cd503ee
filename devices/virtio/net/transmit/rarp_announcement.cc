#include "devices/virtio/net/transmit/rarp_announcement.h"

#include <sys/uio.h>

#include <algorithm>
#include <iterator>

namespace annulus::virtio {
namespace {

// RFC 903, in the layout of RFC 826, with the Ethernet header before it:
// everything but the address that is announced, which is source, sender and
// target.
constexpr uint8_t kRequest[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // To everyone,
    0,    0,    0,    0,    0,    0,     // from the address:
    0x80, 0x35,                          // RARP
    0,    1,                             // of Ethernet
    0x08, 0,                             // and IPv4,
    6,    4,                             // whose addresses are so long:
    0,    3,                             // "request reverse".
};
constexpr size_t kSourceAt = 6;
constexpr size_t kSenderAt = 22;
constexpr size_t kTargetAt = 32;

}  // namespace

bool RarpAnnouncement::Ask(const MacAddress& mac) {
  uint64_t asked = kIsAsked;
  for (size_t i = 0; i < mac.size(); ++i) asked |= uint64_t{mac[i]} << 8 * i;
  // Relaxed: as in pending().
  return asked_.exchange(asked, std::memory_order_relaxed) == 0;
}

TransferStatus RarpAnnouncement::SendTo(NetBackendQueue& backend) {
  if (!under_way_) Build(asked_.exchange(0, std::memory_order_relaxed));
  const std::array<iovec, 2> vectors = {iovec{header_.data(), header_.size()},
                                        iovec{frame_.data(), frame_.size()}};
  const TransferStatus status =
      backend.Send(vectors, kNetHeaderBytes + kFrameBytes).status;
  under_way_ = status == TransferStatus::kAgain;
  return status;
}

void RarpAnnouncement::Build(uint64_t asked) {
  std::copy(std::begin(kRequest), std::end(kRequest), frame_.begin());
  for (size_t i = 0; i < MacAddress().size(); ++i) {
    const uint8_t byte = static_cast<uint8_t>(asked >> 8 * i);
    for (const size_t at : {kSourceAt, kSenderAt, kTargetAt}) {
      frame_[at + i] = byte;
    }
  }
}

}  // namespace annulus::virtio
