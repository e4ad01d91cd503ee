#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_CREDIT_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_CREDIT_H_

#include <cstdint>

// Credit of a connection as its driver side counts it, virtio 1.4 §5.10.6.3
// "Buffer Space Management". All counts are free-running modulo 2^32.
// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

// What this side may send.
//
// Trust: the peer's numbers may be anything; Free() never exceeds `limit`, nor
//   what the peer granted.
class VsockSendCredit {
 public:
  VsockSendCredit() = default;
  // However much the peer grants, no more than `limit` is on its way. Linux
  // takes its own buf_alloc for that.
  explicit VsockSendCredit(uint32_t limit) : limit_(limit) {}

  // Every packet of the peer carries both.
  void Update(uint32_t buf_alloc, uint32_t fwd_cnt) {
    buf_alloc_ = buf_alloc;
    fwd_cnt_ = fwd_cnt;
  }

  // "peer_free = peer_buf_alloc - (tx_cnt - peer_fwd_cnt)". 0 where that is
  // negative, or the peer forwarded more than it was sent.
  uint32_t Free() const {
    const uint32_t window = buf_alloc_ < limit_ ? buf_alloc_ : limit_;
    const uint32_t under_way = sent_ - fwd_cnt_;
    return under_way < window ? window - under_way : 0;
  }

  // REQUIRES: bytes <= Free().
  void Sent(uint32_t bytes) { sent_ += bytes; }

 private:
  uint32_t limit_ = 0;
  uint32_t buf_alloc_ = 0;  // The peer's; nothing is known of it at first.
  uint32_t fwd_cnt_ = 0;
  uint32_t sent_ = 0;
};

// What the peer may send.
class VsockReceiveCredit {
 public:
  VsockReceiveCredit() = default;
  explicit VsockReceiveCredit(uint32_t buf_alloc) : buf_alloc_(buf_alloc) {}

  uint32_t buf_alloc() const { return buf_alloc_; }
  uint32_t unread() const { return received_ - forwarded_; }

  // False: the peer had no credit for it.
  [[nodiscard]] bool Received(uint32_t bytes) {
    if (bytes > buf_alloc_ || unread() > buf_alloc_ - bytes) return false;
    received_ += bytes;
    return true;
  }

  // The program took them. REQUIRES: bytes <= unread().
  void Forward(uint32_t bytes) { forwarded_ += bytes; }

  // For each packet that is sent: its fwd_cnt, of which the peer then knows.
  uint32_t Report() {
    reported_ = forwarded_;
    return forwarded_;
  }

  // Whether an unsolicited CREDIT_UPDATE is due, as for Linux: the peer thinks
  // that it has less credit left than a packet of the largest size, or there is
  // nothing unread.
  bool NearlySpent() const {
    const uint32_t unreported = forwarded_ - reported_;
    return unreported != 0 && (unreported >= buf_alloc_ ||
                               buf_alloc_ - unreported < kLargestPacket);
  }
  bool Drained() const { return forwarded_ != reported_ && unread() == 0; }

 private:
  static constexpr uint32_t kLargestPacket = 64 * 1024;

  uint32_t buf_alloc_ = 0;
  uint32_t received_ = 0;
  uint32_t forwarded_ = 0;
  uint32_t reported_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_CREDIT_H_
