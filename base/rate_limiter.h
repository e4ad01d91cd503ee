#ifndef BASE_RATE_LIMITER_H_
#define BASE_RATE_LIMITER_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace annulus {

// Lets `burst` events through in each `interval`: a guest chooses how often it
// breaks a rule, so every log line that it can cause passes through one.
//
// Threads: thread-safe, lock-free. Two threads that race at the start of an
// interval may let one burst too many through; the bound stays finite.
class RateLimiter {
 public:
  RateLimiter(uint32_t burst, absl::Duration interval)
      : burst_(burst), interval_ns_(absl::ToInt64Nanoseconds(interval)) {}

  // True if this event may pass at monotonic time `now_ns`.
  bool Allow(int64_t now_ns) {
    // Relaxed: the counters guard no other memory.
    int64_t start = start_ns_.load(std::memory_order_relaxed);
    if (now_ns - start >= interval_ns_ &&
        start_ns_.compare_exchange_strong(start, now_ns,
                                          std::memory_order_relaxed)) {
      passed_.store(0, std::memory_order_relaxed);
    }
    return passed_.fetch_add(1, std::memory_order_relaxed) < burst_;
  }

 private:
  const uint32_t burst_;
  const int64_t interval_ns_;
  std::atomic<int64_t> start_ns_{INT64_MIN / 2};
  std::atomic<uint32_t> passed_{0};
};

}  // namespace annulus

#endif  // BASE_RATE_LIMITER_H_
