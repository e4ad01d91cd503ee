#ifndef BASE_TOKEN_BUCKET_H_
#define BASE_TOKEN_BUCKET_H_

#include <cstdint>

namespace annulus {

// Lets amounts through (bytes, frames) at a rate: tokens come in at `rate` per
// second, at most `burst` are kept, and what passes takes its amount away. The
// bucket starts full.
//
// An amount larger than the burst passes as soon as the bucket is full, and
// leaves a debt that has to be paid before the next: nothing starves, and the
// rate holds all the same.
//
// Exact: no fraction of a token gets lost however often it is asked, and no
// rate, burst, amount or time overflows.
//
// Threads: thread-compatible.
// Allocation: none.
class TokenBucket {
 public:
  // `rate` in tokens per second, 0: no limit. `burst` 0: a tenth of a second's
  // worth, at least one.
  TokenBucket(uint64_t rate, uint64_t burst);

  bool limited() const { return rate_ != 0; }

  // Hot. Takes `amount` at monotonic time `now`, in nanoseconds; false: not
  // yet, and nothing was taken. A time before that of an earlier call counts
  // as that one.
  [[nodiscard]] bool Take(uint64_t amount, int64_t now);

  // How long from `now` on until Take(amount) is true, in nanoseconds, if
  // nothing else is taken: 0 if it is true now. At most INT64_MAX.
  int64_t NanosecondsUntil(uint64_t amount, int64_t now) const;

 private:
  // 128 bits: the product of any two 64-bit numbers fits.
  using Wide = __int128;

  // Of kNanosecondsPerSecond-ths of a token, so that a nanosecond adds `rate`.
  Wide LevelAt(int64_t now) const;
  Wide LevelNeeded(uint64_t amount) const;

  uint64_t rate_;
  uint64_t burst_;
  Wide level_;  // Negative: debt. At `last_`.
  int64_t last_ = INT64_MIN;
};

}  // namespace annulus

#endif  // BASE_TOKEN_BUCKET_H_
