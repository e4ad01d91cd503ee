#ifndef DEVICES_VIRTIO_NET_RATE_GATE_H_
#define DEVICES_VIRTIO_NET_RATE_GATE_H_

#include <algorithm>
#include <cstdint>

#include "base/clock.h"
#include "base/token_bucket.h"
#include "devices/virtio/net/net_options.h"

namespace annulus::virtio {

// The rate limit of one direction of one queue pair: bytes and frames.
//
// Threads: thread-compatible.
// Allocation: none. Without a limit, no look at the clock.
class RateGate {
 public:
  explicit RateGate(const RateLimit& limit)
      : bytes_(limit.bytes_per_second, limit.burst_bytes),
        frames_(limit.frames_per_second, limit.burst_frames) {}

  bool limited() const { return bytes_.limited() || frames_.limited(); }

  // Hot. Takes what a frame of `bytes` costs; false: not before the time that
  // is then in `until`, and nothing was taken.
  [[nodiscard]] bool Pass(uint32_t bytes, int64_t& until) {
    if (!limited()) return true;
    const int64_t now = MonotonicNanoseconds();
    const int64_t wait = std::max(bytes_.NanosecondsUntil(bytes, now),
                                  frames_.NanosecondsUntil(1, now));
    if (wait > 0) {
      until = now + std::min(wait, kLongestWait);
      return false;
    }
    return bytes_.Take(bytes, now) && frames_.Take(1, now);
  }

 private:
  // Then it is asked again.
  static constexpr int64_t kLongestWait = 1'000'000'000;

  TokenBucket bytes_;
  TokenBucket frames_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RATE_GATE_H_
