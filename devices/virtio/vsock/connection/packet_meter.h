#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_PACKET_METER_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_PACKET_METER_H_

#include <algorithm>
#include <array>
#include <cstdint>

namespace annulus::virtio {

// How many packets of payload the guest may not have read yet.
//
// Credit counts bytes, but a guest spends memory on each packet too: Linux
// resets a connection when 576 bytes for each packet that waits exceed its
// buf_alloc, whatever their payload. So packets are limited as bytes are, to a
// little less than that.
//
// The peer tells which bytes it has forwarded; packets are remembered with the
// byte that they end at, in runs: a run is forwarded when its last byte is. So
// the number is never too small, and there are only so many runs.
//
// Threads: thread-compatible.
// Trust: `fwd_cnt` and `buf_alloc` are the guest's.
// Allocation: none.
class PacketMeter {
 public:
  // How many more may be sent to a guest of this window.
  uint32_t free(uint32_t buf_alloc) const {
    const uint32_t limit = Limit(buf_alloc);
    return limit - std::min(limit, waiting_);
  }

  // Packets were sent, of which the last ends at byte `sent` of the connection.
  void Send(uint32_t packets, uint32_t sent, uint32_t buf_alloc) {
    waiting_ += packets;
    packets += empty_;
    empty_ = 0;
    const uint32_t whole_run = std::max(1u, Limit(buf_alloc) / (kRuns / 2));
    if (count_ == 0 || (count_ < kRuns && Last().packets >= whole_run)) {
      ++count_;
      Last() = {.end = sent, .packets = packets};
      return;
    }
    Last().end = sent;
    Last().packets += packets;
  }

  // A packet without payload was sent, a message of SEQPACKET.
  void SendEmpty() {
    ++waiting_;
    ++empty_;
  }

  // The guest has forwarded the bytes up to `fwd_cnt`. REQUIRES: it is not
  // beyond what was sent, nor behind an earlier one. Of messages without
  // payload it tells by the number of those that it has read altogether, which
  // wraps; it counts only once nothing is before them.
  void Forward(uint32_t fwd_cnt, uint32_t messages_read) {
    while (count_ != 0 &&
           runs_[first_].end - forwarded_ <= fwd_cnt - forwarded_) {
      waiting_ -= runs_[first_].packets;
      forwarded_ = runs_[first_].end;
      first_ = (first_ + 1) % kRuns;
      --count_;
    }
    forwarded_ = fwd_cnt;
    const uint32_t read = std::min(empty_, messages_read - messages_read_);
    messages_read_ = messages_read;
    if (count_ != 0) return;
    empty_ -= read;
    waiting_ -= read;
  }

  // Some of those that wait are without payload.
  bool has_empty() const { return empty_ != 0; }

  uint32_t waiting() const { return waiting_; }

 private:
  static constexpr uint32_t kRuns = 32;
  // What Linux counts per packet, SKB_TRUESIZE(0), and room for its rounding
  // and for packets that it has not counted yet.
  static constexpr uint64_t kGuestBytesPerPacket = 576;
  static constexpr uint64_t kUsedPercent = 85;

  struct Run {
    uint32_t end = 0;
    uint32_t packets = 0;
  };

  static uint32_t Limit(uint32_t buf_alloc) {
    const uint64_t limit =
        buf_alloc * kUsedPercent / 100 / kGuestBytesPerPacket;
    return static_cast<uint32_t>(std::max<uint64_t>(limit, 1));
  }

  Run& Last() { return runs_[(first_ + count_ - 1) % kRuns]; }

  std::array<Run, kRuns> runs_;
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  uint32_t waiting_ = 0;
  uint32_t forwarded_ = 0;
  uint32_t empty_ = 0;  // Behind the last run.
  uint32_t messages_read_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_PACKET_METER_H_
