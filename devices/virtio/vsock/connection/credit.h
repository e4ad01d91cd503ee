#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_CREDIT_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_CREDIT_H_

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace annulus::virtio {

// The two windows of a connection (virtio 1.4 §5.10.6.3 "Buffer Space
// Management"). All counters are of payload bytes, have 32 bits and wrap.
//
// Threads: thread-compatible.
// Allocation: none.

// How much the guest lets this side send.
class SendCredit {
 public:
  // Takes over what a packet of the guest says. A `fwd_cnt` that goes back, or
  // counts what was never sent, is ignored: it would add to no window but what
  // the guest may claim with `buf_alloc` anyway. True if there is news.
  bool Update(uint32_t buf_alloc, uint32_t fwd_cnt) {
    const bool goes_on = sent_ - fwd_cnt < unread();
    const bool news = goes_on || buf_alloc != buf_alloc_;
    buf_alloc_ = buf_alloc;
    if (goes_on) forwarded_ = fwd_cnt;
    return news;
  }

  // The peer may make its buffer smaller than what it has not forwarded yet.
  uint32_t free() const { return buf_alloc_ - std::min(buf_alloc_, unread()); }

  // REQUIRES: bytes <= free() when they were planned. Counted before they can
  // be seen by the guest, who might else forward them too early.
  void Send(uint32_t bytes) { sent_ += bytes; }

  uint32_t sent() const { return sent_; }
  uint32_t forwarded() const { return forwarded_; }
  uint32_t unread() const { return sent_ - forwarded_; }
  uint32_t buf_alloc() const { return buf_alloc_; }

 private:
  uint32_t buf_alloc_ = 0;
  uint32_t sent_ = 0;
  uint32_t forwarded_ = 0;
};

// How much this side lets the guest send, and what the guest knows of it.
class ReceiveCredit {
 public:
  // REQUIRES: buf_alloc != 0.
  explicit ReceiveCredit(uint32_t buf_alloc)
      : buf_alloc_(buf_alloc), window_(buf_alloc) {}

  // Payload arrived. False: it is more than there is room for, and is not
  // counted.
  [[nodiscard]] bool Receive(uint32_t bytes) {
    if (bytes > buf_alloc_ - held()) return false;
    received_ += bytes;
    return true;
  }

  // It went on to who reads it. REQUIRES: bytes <= held().
  void Forward(uint32_t bytes) {
    ANNULUS_DCHECK(bytes <= held());
    forwarded_ += bytes;
  }

  // fwd_cnt of a packet for the guest, and that it was sent.
  uint32_t forwarded() const { return forwarded_; }
  void Report(uint32_t fwd_cnt) { reported_ = fwd_cnt; }

  // How much the guest itself has room for. Linux sends no more than that
  // before it is told that it was read, whatever it is granted.
  void SetGuestWindow(uint32_t buf_alloc) {
    window_ = std::min(buf_alloc, buf_alloc_);
  }

  // The guest is to be told, although nothing else is to be sent: it does not
  // know of half of its window; or it can hardly send any more.
  bool ReportDue() const {
    const uint32_t unreported = forwarded_ - reported_;
    if (unreported == 0) return false;
    const uint32_t seen_held = received_ - reported_;
    return unreported >= window_ / 2 || seen_held > window_ - window_ / 4;
  }

  uint32_t held() const { return received_ - forwarded_; }
  uint32_t buf_alloc() const { return buf_alloc_; }

 private:
  uint32_t buf_alloc_;
  uint32_t window_;  // What the guest makes use of.
  uint32_t received_ = 0;
  uint32_t forwarded_ = 0;
  uint32_t reported_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_CREDIT_H_
